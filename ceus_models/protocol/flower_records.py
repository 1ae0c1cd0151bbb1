"""The bytes of a message as a Flower record, and the errors that a courier may answer instead.

The courier imports this module and must stay free of torch, so nothing here knows what the bytes mean. They travel as
one array, because Flower cuts only arrays into pieces of 5 MB and stores equal pieces once for all sites.
"""

from __future__ import annotations

from enum import IntEnum

from flwr.app import Array, ArrayRecord, RecordDict

_RECORD = "message"
_ARRAY = "bytes"
_STYPE = "fedceus.message"  # the buffer as it is, not in numpy's file format: nothing is copied or parsed on the way

NAME_QUERY = "query.name"
"""Message type: which site is this node? Answered by the courier alone."""
TASK_QUERY = "query.carry"
"""Message type: carry these bytes to the worker and bring back its answer."""


class CourierError(IntEnum):
    """Codes of a courier's error reply, clear of Flower's own (0-8); the texts are ours, never an exception's."""

    NOT_CONFIGURED = 101
    NO_WORKER = 102
    TOO_SLOW = 103
    BAD_MESSAGE = 104


def to_record(data: bytes) -> RecordDict:
    """`data` as the content of a Flower message, without a copy."""
    array = Array(dtype="uint8", shape=(len(data),), stype=_STYPE, data=data)
    return RecordDict({_RECORD: ArrayRecord({_ARRAY: array})})


def from_record(content: RecordDict) -> bytes:
    """The bytes in a Flower message's content. Raises ValueError if it holds anything else."""
    record = content.get(_RECORD)
    if len(content) != 1 or not isinstance(record, ArrayRecord) or list(record) != [_ARRAY]:
        raise ValueError(f"a message holds one record '{_RECORD}' with one array '{_ARRAY}', not {_names(content)}")
    array = record[_ARRAY]
    if array.stype != _STYPE or array.dtype != "uint8" or tuple(array.shape) != (len(array.data),):
        raise ValueError(f"'{_ARRAY}' must be uint8 of its own length as {_STYPE}, not {array.dtype} as {array.stype}")
    return bytes(array.data)


def _names(content: RecordDict) -> str:
    return ", ".join(sorted(map(str, content)))[:100] or "nothing"
