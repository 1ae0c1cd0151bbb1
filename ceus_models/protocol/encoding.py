"""The encoding of messages: a JSON header and plain buffers, never a pickle.

The layout is that of safetensors (8 bytes of header length, a JSON header with dtype, shape and offsets of every
tensor, then the buffers), with the message under `__metadata__`; the safetensors library reads the same bytes, which a
test checks. Our own reader makes tensors views of the received buffer, so that a net of 134 MB is not copied, and
refuses gaps, overlaps and dtypes that the library accepts.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked
from pydantic_core import to_json

from ceus_models.protocol.audit_mark import AuditMark, LastAnswer
from ceus_models.protocol.messages import (
    PROTOCOL,
    CountNoise,
    Kind,
    Level,
    LocalRule,
    Message,
    Quantisation,
    Recipe,
    Refusal,
    RefusalCode,
    Session,
    Task,
    Update,
)
from ceus_models.protocol.software import Software
from ceus_models.protocol.state import State
from ceus_models.protocol.tensor_buffers import MAX_TEXT, Buffer, describe_tensors, iterate_buffers, parse_tensors
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.humanize import clean_text
from ceus_models.runtime.yaml_lines import format_key

MAX_HEADER_BYTES = 4 << 20
MAX_TENSORS = 30_000
"""36 nets of the paper's size have a third of that. Tensors without numbers take no bytes, only time and memory."""
MAX_INPUT_BYTES: Mapping[str, int] = {"hello": 1 << 20, "offer": 1 << 20, "tally": 256 << 20, "unmask": 256 << 20}
"""Tensors of a task that brings no net; in a secure sum of 1,000 sites the sealed boxes have 192 MB."""
MAX_BODY_BYTES = 256 << 10
"""Limit of a message without its tensors; a task has a few kilobytes, and hello the plan as well."""
MAX_PLAN_BYTES = 128 << 10
MAX_REASON = 4000
MAX_SITES = 1000

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)


class WireError(ExpectedError):
    """Bytes that are no message of this protocol; the text says which rule they break."""

    def __init__(self, text: str) -> None:
        """Shorten the text and remove unprintable characters, as it may quote what was received."""
        super().__init__(clean_text(text, MAX_TEXT))


def _check_printable(text: str) -> str:
    """Raise ValueError for a name that cannot be shown in logs and terminals."""
    if not text.isprintable():
        raise ValueError("names are printable")
    return text


_Text = Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(_check_printable)]
_Reason = Annotated[str, AfterValidator(lambda text: clean_text(text, MAX_REASON))]
_Names = Annotated[tuple[_Text, ...], Field(max_length=100)]
_Number = Annotated[int, Field(ge=0, lt=1 << 31)]

_TENSORS = {Task: "inputs", Update: "sums"}
_TYPES: dict[str, type[Task | Update | Refusal]] = {"Task": Task, "Update": Update, "Refusal": Refusal}


@checked(frozen=True, config=_STRICT)
class _TaskHeader:
    kind: Kind
    study: _Text
    seed: Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)]
    stage: _Text
    round: _Number
    nets: _Names
    cohorts: _Names
    rule: LocalRule | None
    recipe: Recipe | None
    processing: _Text
    frozen: _Text
    replicates: _Number
    plan: Annotated[str, Field(max_length=MAX_PLAN_BYTES)]
    level: Level
    session: Session | None
    survivors: _Names
    count_noise: CountNoise | None
    attempt: _Number
    comparisons: bool
    roster: Annotated[str, Field(max_length=MAX_PLAN_BYTES)]
    changes: Quantisation | None
    answers: Annotated[dict[_Text, LastAnswer], Field(max_length=MAX_SITES)]


@checked(frozen=True, config=_STRICT)
class _UpdateHeader:
    site: _Text
    weight: float
    spent: float
    task: _Text = ""
    audit: AuditMark | None = None
    withdrawn: _Number = 0
    software: Software | None = None


@checked(frozen=True, config=_STRICT)
class _RefusalHeader:
    site: _Text
    reason: _Reason
    code: RefusalCode
    audit: AuditMark | None = None


_HEADERS: dict[str, TypeAdapter[Any]] = {
    "Task": TypeAdapter(_TaskHeader),
    "Update": TypeAdapter(_UpdateHeader),
    "Refusal": TypeAdapter(_RefusalHeader),
}


def encode(message: Message) -> list[Buffer]:
    """Encode a message as buffers to be written one after the other; large tensors are not copied.

    Raises:
        WireError: the dtype of a tensor has no encoding.
    """
    head, tensors = _encode_head(message)
    return [len(head).to_bytes(8, "little"), head, *iterate_buffers(tensors.values())]


def count_bytes(message: Message) -> int:
    """Length of the encoded message; its numbers are not touched. Raises WireError as `encode`."""
    head, tensors = _encode_head(message)
    return 8 + len(head) + sum(tensor.numel() * tensor.itemsize for tensor in tensors.values())


def _encode_head(message: Message) -> tuple[bytes, State]:
    """The header of a message, and its tensors."""
    kind = type(message).__name__
    tensors: State = getattr(message, _TENSORS[type(message)]) if type(message) in _TENSORS else {}
    body = {
        f.name: getattr(message, f.name) for f in dataclasses.fields(message) if f.name != _TENSORS.get(type(message))
    }
    text = _HEADERS[kind].dump_json(_HEADERS[kind].validate_python(_convert_to_plain(body))).decode()
    header: dict[str, Any] = {"__metadata__": {"protocol": str(PROTOCOL), "type": kind, "body": text}}
    try:
        head = to_json(header | describe_tensors(tensors))
    except ValueError as error:
        raise WireError(str(error)) from None
    head += b" " * (-len(head) % 8)
    return head, tensors


def to_bytes(message: Message) -> bytes:
    """Encode a message as one bytes object."""
    return b"".join(encode(message))


def decode(buffer: Buffer, most: int | None = None) -> Message:
    """Decode a message; its tensors are views of a writable `buffer`.

    Args:
        buffer: the message's bytes.
        most: bytes that it may have, where the receiver knows what it asked for.

    Raises:
        WireError: the bytes are no message of this protocol.

    >>> decode(to_bytes(Refusal("site-01", "no lesions", "no_lesions")))
    Refusal(site='site-01', reason='no lesions', code='no_lesions', audit=None)
    """
    view = memoryview(buffer).cast("B")
    if most is not None and len(view) > most:
        raise WireError(f"expected a message of at most {most} bytes for this task, found {len(view)}")
    header, data = _parse_header(view)
    meta = header.pop("__metadata__", None)
    if not isinstance(meta, dict) or not isinstance(meta.get("type"), str) or meta["type"] not in _TYPES:
        raise WireError(f"expected a message of type {', '.join(_TYPES)}, found another type")
    if meta.get("protocol") != str(PROTOCOL):
        raise WireError(
            f"expected protocol {PROTOCOL}, found {meta.get('protocol')}; install the same version on both sides"
        )
    kind = meta["type"]
    body = _parse_body(kind, meta.get("body"))
    fields = {f.name: getattr(body, f.name) for f in dataclasses.fields(body)}
    cls = _TYPES[kind]
    largest = MAX_INPUT_BYTES.get(fields.get("kind", ""), len(data))
    if len(data) > largest:
        raise WireError(f"expected at most {largest} bytes of tensors in a task of kind {fields['kind']}, found more")
    if cls in _TENSORS:
        try:
            fields[_TENSORS[cls]] = parse_tensors(header, data)
        except ValueError as error:
            raise WireError(str(error)) from None
    elif header:
        raise WireError(f"expected a {kind} without tensors, found {len(header)}")
    return cls(**fields)


def _convert_to_plain(body: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value
        for name, value in body.items()
    }


def _parse_body(kind: str, text: Any) -> Any:
    """Validate the fields of a message other than its tensors."""
    if not isinstance(text, str) or len(text) > MAX_BODY_BYTES:
        raise WireError(f"expected fields of at most {MAX_BODY_BYTES} bytes, found none or more")
    try:
        return _HEADERS[kind].validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        raise WireError(f"{format_key((kind, *first['loc']))}: {first['msg']}") from None
    except ValueError:  # a lone surrogate, which JSON can express
        raise WireError(f"{kind}: expected UTF-8, found other bytes") from None


def _parse_header(view: memoryview) -> tuple[dict[str, Any], memoryview]:
    if len(view) < 8:
        raise WireError("expected at least 8 bytes for the header's length, found fewer")
    size = int.from_bytes(view[:8], "little")
    if size > min(MAX_HEADER_BYTES, len(view) - 8):
        raise WireError(f"expected a header within the message and its limit, found one of {size} bytes")
    text = bytes(view[8 : 8 + size])
    if text.count(b'"data_offsets"') > MAX_TENSORS:
        raise WireError(f"expected at most {MAX_TENSORS} tensors, found more")
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        raise WireError("expected a header in JSON, found other text") from None
    if not isinstance(header, dict):
        raise WireError("expected a header with an entry for each tensor, found another JSON value")
    if len(header) > MAX_TENSORS + 1:  # names may be written with escapes
        raise WireError(f"expected at most {MAX_TENSORS} tensors, found more")
    return header, view[8 + size :]
