"""How a message is written: a JSON header and plain buffers, never a pickle.

The layout is that of safetensors (8 bytes of header length, a JSON header with dtype, shape and place of every tensor,
then the buffers), with the message itself under `__metadata__`; the library of that name reads the same bytes, and a
test holds us to it. Our own reader keeps tensors as views of the received buffer, so that a net of 134 MB is not
copied, and refuses gaps, overlaps and dtypes that the library would let pass.
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

from ceus_models.protocol.messages import PROTOCOL, Kind, LocalRule, Message, Recipe, Refusal, RefusalCode, Task, Update
from ceus_models.protocol.state import SMALL, State
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.yaml_lines import written

MAX_HEADER_BYTES = 4 << 20
"""Names, dtypes and shapes of some thirty thousand tensors; 36 nets of the paper have a third of that."""
MAX_BODY_BYTES = 64 << 10
"""What a message says beside its tensors; a task says a few kilobytes."""
MAX_TEXT = 256
MAX_REASON = 4000
MAX_DIMENSIONS = 8
MAX_ELEMENTS = 1 << 48
Buffer = bytes | bytearray | memoryview

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)


class WireError(ExpectedError):
    """Bytes that are not a message of this protocol; the text says which rule they break."""

    def __init__(self, text: str) -> None:
        """text: may quote what was sent, so it is cut and cleaned of what is no sign on a screen."""
        super().__init__(clean(text, MAX_TEXT))


def clean(text: str, longest: int) -> str:
    """At most so many characters of a text of the other side, without those that are no signs on a screen."""
    return "".join(sign if sign.isprintable() else "?" for sign in text[:longest])


def _printable(text: str) -> str:
    """A name goes into logs, audits and terminals."""
    if not text.isprintable():
        raise ValueError("names are printable")
    return text


_Text = Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(_printable)]
_Reason = Annotated[str, AfterValidator(lambda text: clean(text, MAX_REASON))]
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
    """The message as buffers to be written one after the other; large tensors are not copied.

    Raises WireError for a tensor whose dtype does not travel.
    """
    kind = type(message).__name__
    tensors: State = getattr(message, _TENSORS[type(message)]) if type(message) in _TENSORS else {}
    body = {
        f.name: getattr(message, f.name) for f in dataclasses.fields(message) if f.name != _TENSORS.get(type(message))
    }
    text = _HEADERS[kind].dump_json(_HEADERS[kind].validate_python(_plain(body))).decode()
    header: dict[str, Any] = {"__metadata__": {"protocol": str(PROTOCOL), "type": kind, "body": text}}
    place = 0
    for name, tensor in tensors.items():
        if tensor.dtype not in _NAMES:
            raise WireError(f"{name}: {tensor.dtype} does not travel; send one of {', '.join(map(str, _NAMES))}")
        end = place + tensor.numel() * tensor.itemsize
        header[name] = {"dtype": _NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [place, end]}
        place = end
    head = to_json(header)
    head += b" " * (-len(head) % 8)
    return [len(head).to_bytes(8, "little"), head, *_buffers(tensors.values())]


def _buffers(tensors: Iterable[Tensor]) -> Iterator[Buffer]:
    """The tensors' bytes in order; neighbours that are small are put together, as a net has a hundred of them."""
    for (_, small), run in groupby(tensors, lambda t: (t.dtype, t.numel() <= SMALL)):
        flat = [tensor.detach().reshape(-1) for tensor in run]
        for part in [torch.cat(flat)] if small else flat:
            yield part.cpu().view(torch.uint8).numpy().data


def to_bytes(message: Message) -> bytes:
    """The message as one string of bytes."""
    return b"".join(encode(message))


def decode(buffer: Buffer) -> Message:
    """The message in `buffer`; its tensors are views of it where the platform allows.

    Raises WireError naming the rule that the bytes break.
    """
    view = memoryview(buffer).cast("B")
    header, data = _header(view)
    meta = header.pop("__metadata__", None)
    if not isinstance(meta, dict) or not isinstance(meta.get("type"), str) or meta["type"] not in _TYPES:
        raise WireError("the message names no known type")
    if meta.get("protocol") != str(PROTOCOL):
        raise WireError(
            f"the message is of protocol {meta.get('protocol')}, this side speaks {PROTOCOL}: install the same version"
        )
    kind = meta["type"]
    body = _body(kind, meta.get("body"))
    fields = {f.name: getattr(body, f.name) for f in dataclasses.fields(body)}
    cls = _TYPES[kind]
    if cls in _TENSORS:
        fields[_TENSORS[cls]] = _tensors(header, data)
    elif header:
        raise WireError(f"a {kind} carries no tensors")
    return cls(**fields)


def _plain(body: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value
        for name, value in body.items()
    }


def _body(kind: str, text: Any) -> Any:
    """What the message says beside its tensors, checked."""
    if not isinstance(text, str) or len(text) > MAX_BODY_BYTES:
        raise WireError(f"the message says nothing, or more than {MAX_BODY_BYTES} bytes beside its tensors")
    try:
        return _HEADERS[kind].validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        raise WireError(f"{written((kind, *first['loc']))}: {first['msg']}") from None
    except ValueError:  # half a character, which JSON can spell
        raise WireError(f"{kind}: the message is not UTF-8") from None


def _header(view: memoryview) -> tuple[dict[str, Any], memoryview]:
    if len(view) < 8:
        raise WireError("the message is shorter than its own length field")
    size = int.from_bytes(view[:8], "little")
    if size > min(MAX_HEADER_BYTES, len(view) - 8):
        raise WireError(f"the header claims {size} bytes, more than were sent or are allowed")
    try:
        header = json.loads(bytes(view[8 : 8 + size]))
    except (ValueError, RecursionError):
        raise WireError("the header is not JSON") from None
    if not isinstance(header, dict):
        raise WireError("the header is not a table of tensors")
    return header, view[8 + size :]


def _tensors(header: Mapping[str, Any], data: memoryview) -> dict[str, Tensor]:
    """The tensors of a header; every byte of `data` belongs to exactly one of them, in order."""
    entries: list[tuple[str, torch.dtype, list[int]]] = []
    place = 0
    for name, entry in header.items():
        if len(name) > MAX_TEXT or not name.isprintable():
            raise WireError(f"{name[:40]}: names are printable and have at most {MAX_TEXT} characters")
        try:
            dtype = _DTYPES[entry["dtype"]]
            shape = _whole_numbers(entry["shape"], MAX_DIMENSIONS)
            begin, end = _whole_numbers(entry["data_offsets"], 2)
        except (KeyError, TypeError, ValueError):
            raise WireError(f"{name}: dtype, shape or place is missing or not of this protocol") from None
        if math.prod(max(n, 1) for n in shape) > MAX_ELEMENTS:
            raise WireError(f"{name}: its bytes do not match its shape, which no memory holds")
        if begin != place or end - begin != math.prod(shape) * dtype.itemsize or end > len(data):
            raise WireError(f"{name}: its bytes do not match its shape {shape} and dtype {entry['dtype']}")
        entries.append((name, dtype, shape))
        place = end
    if place != len(data):
        raise WireError(f"{len(data) - place} bytes belong to no tensor")
    return dict(_views(entries, data))


def _whole_numbers(values: Any, most: int) -> list[int]:
    """A short list of plain numbers. Raises ValueError for anything else."""
    if not isinstance(values, list) or len(values) > most:
        raise ValueError
    if any(type(n) is not int or not 0 <= n <= MAX_ELEMENTS for n in values):
        raise ValueError
    return values


def _views(entries: Sequence[tuple[str, torch.dtype, list[int]]], data: memoryview) -> Iterator[tuple[str, Tensor]]:
    """Neighbours of one dtype are views of one tensor, which takes a tenth of the time of one call each."""
    place = 0
    for dtype, group in groupby(entries, lambda entry: entry[1]):
        run = list(group)
        counts = [math.prod(shape) for _, _, shape in run]
        end = place + sum(counts) * dtype.itemsize
        parts = torch.split(_flat(data[place:end], dtype), counts)
        yield from ((name, part.view(shape)) for (name, _, shape), part in zip(run, parts, strict=True))
        place = end


def _flat(data: memoryview, dtype: torch.dtype) -> Tensor:
    if not len(data):
        return torch.zeros(0, dtype=dtype)
    if data.readonly:  # torch has no read-only tensors, so bytes are copied once
        data = memoryview(bytearray(data))
    return torch.frombuffer(data, dtype=dtype)
