"""The encoding of messages: a JSON header and plain buffers, never a pickle.

The layout is that of safetensors (8 bytes of header length, a JSON header with dtype, shape and offsets of every
tensor, then the buffers), with the message under `__metadata__`; the safetensors library reads the same bytes, which a
test checks. Our own reader makes tensors views of the received buffer, so that a net of 134 MB is not copied, and
refuses gaps, overlaps and dtypes that the library accepts.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Annotated, Any

import torch
from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked
from pydantic_core import to_json
from torch import Tensor

from ceus_models.protocol.messages import (
    PROTOCOL,
    CountNoise,
    Kind,
    Level,
    LocalRule,
    Message,
    Recipe,
    Refusal,
    RefusalCode,
    Session,
    Task,
    Update,
)
from ceus_models.protocol.state import SMALL_TENSOR, State
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.yaml_lines import format_key

MAX_HEADER_BYTES = 4 << 20
"""Enough for about 30,000 tensors; 36 nets of the paper's size have a third of that."""
MAX_BODY_BYTES = 256 << 10
"""Limit of a message without its tensors; a task has a few kilobytes, and hello the plan as well."""
MAX_PLAN_BYTES = 128 << 10
MAX_TEXT = 256
MAX_REASON = 4000
MAX_DIMENSIONS = 8
MAX_ELEMENTS = 1 << 48
Buffer = bytes | bytearray | memoryview

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)


class WireError(ExpectedError):
    """Bytes that are no message of this protocol; the text says which rule they break."""

    def __init__(self, text: str) -> None:
        """Shorten the text and remove unprintable characters, as it may quote what was received."""
        super().__init__(clean_text(text, MAX_TEXT))


def clean_text(text: str, longest: int) -> str:
    """The first `longest` characters of a received text; each unprintable one becomes "?".

    >>> clean_text("no lesions\x07", 40)
    'no lesions?'
    """
    return "".join(character if character.isprintable() else "?" for character in text[:longest])


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
_DTYPES = {
    "F32": torch.float32,
    "F64": torch.float64,
    "I32": torch.int32,
    "I64": torch.int64,
    "U8": torch.uint8,
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


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


@checked(frozen=True, config=_STRICT)
class _UpdateHeader:
    site: _Text
    weight: float
    spent: float
    task: _Text = ""


@checked(frozen=True, config=_STRICT)
class _RefusalHeader:
    site: _Text
    reason: _Reason
    code: RefusalCode


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
    kind = type(message).__name__
    tensors: State = getattr(message, _TENSORS[type(message)]) if type(message) in _TENSORS else {}
    body = {
        f.name: getattr(message, f.name) for f in dataclasses.fields(message) if f.name != _TENSORS.get(type(message))
    }
    text = _HEADERS[kind].dump_json(_HEADERS[kind].validate_python(_convert_to_plain(body))).decode()
    header: dict[str, Any] = {"__metadata__": {"protocol": str(PROTOCOL), "type": kind, "body": text}}
    place = 0
    for name, tensor in tensors.items():
        if tensor.dtype not in _NAMES:
            raise WireError(
                f"expected a dtype of {', '.join(map(str, _NAMES))}, {name} has {tensor.dtype}; convert it first"
            )
        end = place + tensor.numel() * tensor.itemsize
        header[name] = {"dtype": _NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [place, end]}
        place = end
    head = to_json(header)
    head += b" " * (-len(head) % 8)
    return [len(head).to_bytes(8, "little"), head, *_iterate_buffers(tensors.values())]


def _iterate_buffers(tensors: Iterable[Tensor]) -> Iterator[Buffer]:
    """The tensors' bytes in order; small neighbours are joined, as a net has about a hundred of them."""
    for (_, small), run in groupby(tensors, lambda t: (t.dtype, t.numel() <= SMALL_TENSOR)):
        flat = [tensor.detach().reshape(-1) for tensor in run]
        for part in [torch.cat(flat)] if small else flat:
            yield part.cpu().view(torch.uint8).numpy().data


def to_bytes(message: Message) -> bytes:
    """Encode a message as one bytes object."""
    return b"".join(encode(message))


def decode(buffer: Buffer) -> Message:
    """Decode a message; its tensors are views of a writable `buffer`.

    Raises:
        WireError: the bytes are no message of this protocol.

    >>> decode(to_bytes(Refusal("site-01", "no lesions", "no_lesions")))
    Refusal(site='site-01', reason='no lesions', code='no_lesions')
    """
    view = memoryview(buffer).cast("B")
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
    if cls in _TENSORS:
        fields[_TENSORS[cls]] = _parse_tensors(header, data)
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
    try:
        header = json.loads(bytes(view[8 : 8 + size]))
    except (ValueError, RecursionError):
        raise WireError("expected a header in JSON, found other text") from None
    if not isinstance(header, dict):
        raise WireError("expected a header with an entry for each tensor, found another JSON value")
    return header, view[8 + size :]


def _parse_tensors(header: Mapping[str, Any], data: memoryview) -> dict[str, Tensor]:
    """The tensors of a header; each byte of `data` must belong to exactly one of them, in order."""
    entries: list[tuple[str, torch.dtype, list[int]]] = []
    place = 0
    for name, entry in header.items():
        if len(name) > MAX_TEXT or not name.isprintable():
            raise WireError(f"expected printable names of at most {MAX_TEXT} characters, found {name[:40]}")
        try:
            dtype = _DTYPES[entry["dtype"]]
            shape = _check_integers(entry["shape"], MAX_DIMENSIONS)
            begin, end = _check_integers(entry["data_offsets"], 2)
        except (KeyError, TypeError, ValueError):
            raise WireError(f"{name}: dtype, shape or data_offsets is missing or not of this protocol") from None
        if math.prod(max(n, 1) for n in shape) > MAX_ELEMENTS:
            raise WireError(f"{name}: its bytes do not match its shape, which is larger than the limit")
        if begin != place or end - begin != math.prod(shape) * dtype.itemsize or end > len(data):
            raise WireError(f"{name}: its bytes do not match its shape {shape} and dtype {entry['dtype']}")
        entries.append((name, dtype, shape))
        place = end
    if place != len(data):
        raise WireError(f"expected every byte in a tensor, {len(data) - place} bytes belong to none")
    return dict(_iterate_views(entries, data))


def _check_integers(values: Any, most: int) -> list[int]:
    """Return a list of at most `most` plain integers. Raises ValueError for anything else."""
    if not isinstance(values, list) or len(values) > most:
        raise ValueError
    if any(type(n) is not int or not 0 <= n <= MAX_ELEMENTS for n in values):
        raise ValueError
    return values


def _iterate_views(
    entries: Sequence[tuple[str, torch.dtype, list[int]]], data: memoryview
) -> Iterator[tuple[str, Tensor]]:
    """Make neighbours of one dtype views of one tensor, ten times as fast as one call each."""
    place = 0
    for dtype, group in groupby(entries, lambda entry: entry[1]):
        run = list(group)
        counts = [math.prod(shape) for _, _, shape in run]
        end = place + sum(counts) * dtype.itemsize
        parts = torch.split(_build_flat_tensor(data[place:end], dtype), counts)
        yield from ((name, part.view(shape)) for (name, _, shape), part in zip(run, parts, strict=True))
        place = end


def _build_flat_tensor(data: memoryview, dtype: torch.dtype) -> Tensor:
    if not len(data):
        return torch.zeros(0, dtype=dtype)
    if data.readonly:  # torch has no read-only tensors, so bytes are copied once
        data = memoryview(bytearray(data))
    return torch.frombuffer(data, dtype=dtype)
