"""The bytes of a message as a Flower record, and the error codes of a courier.

The courier imports this module and must not import torch, so nothing here decodes the bytes. They are one array,
because Flower splits only arrays into chunks of 5 MB and stores equal chunks once for all sites.
"""

from __future__ import annotations

from enum import IntEnum

from flwr.app import Array, ArrayRecord, RecordDict

_RECORD = "message"
_ARRAY = "bytes"
_STYPE = "fedceus.message"  # the plain buffer, not numpy's file format, so nothing is copied or parsed

NAME_QUERY = "query.name"
"""Message type: which site is this node? The courier answers it itself."""
TASK_QUERY = "query.carry"
"""Message type: pass these bytes to the worker and return its answer."""


class CourierError(IntEnum):
    """Codes of a courier's error reply, different from Flower's own (0-8); their texts never quote an exception."""

    NOT_CONFIGURED = 101
    NO_WORKER = 102
    TOO_SLOW = 103
    BAD_MESSAGE = 104


def to_record(data: bytes) -> RecordDict:
    """Wrap `data` as the content of a Flower message, without a copy."""
    array = Array(dtype="uint8", shape=(len(data),), stype=_STYPE, data=data)
    return RecordDict({_RECORD: ArrayRecord({_ARRAY: array})})


def from_record(content: RecordDict) -> bytes:
    """Unwrap the bytes of a Flower message's content. Raises ValueError for any other content."""
    record = content.get(_RECORD)
    if len(content) != 1 or not isinstance(record, ArrayRecord) or list(record) != [_ARRAY]:
        raise ValueError(f"expected one record '{_RECORD}' with one array '{_ARRAY}', found {_format_names(content)}")
    array = record[_ARRAY]
    if array.stype != _STYPE or array.dtype != "uint8" or tuple(array.shape) != (len(array.data),):
        raise ValueError(
            f"expected '{_ARRAY}' as uint8 of its own length and {_STYPE}, found {array.dtype}, {array.stype}"
        )
    return bytes(array.data)


def _format_names(content: RecordDict) -> str:
    return ", ".join(sorted(map(str, content)))[:100] or "nothing"
