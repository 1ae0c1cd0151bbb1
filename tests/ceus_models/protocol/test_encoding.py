"""The wire format: equal to the safetensors library, exact, and hard to fool."""

from __future__ import annotations

import json
import random
import time
import tracemalloc
from dataclasses import replace

import pytest
import safetensors.torch
import torch
from pydantic import ValidationError

from ceus_models.protocol.encoding import MAX_INPUT_BYTES, WireError, count_bytes, decode, encode, to_bytes
from ceus_models.protocol.messages import (
    PROTOCOL,
    Architecture,
    Kind,
    LocalRule,
    Normaliser,
    Quantisation,
    Recipe,
    Refusal,
    Task,
    Update,
)
from ceus_models.protocol.state import SMALL_TENSOR, digest

RECIPE = Recipe(
    Architecture(), Normaliser(0.3, 0.2, 1.0, (0.0,) * 17, (1.0,) * 17), ("AFP",), {"disease/HCC": (1.0, 2.0)}
)
TENSORS = {
    "w": torch.randn(3, 4),
    "scalar": torch.tensor(2.5, dtype=torch.float64),
    "counts": torch.arange(6, dtype=torch.int32).reshape(2, 3),
    "wide": torch.tensor([2**40]),
    "bytes": torch.tensor([1, 2, 255], dtype=torch.uint8),
    "empty": torch.zeros(0, 3),
}
TASK = Task(
    "train",
    "plan",
    7,
    "submodels",
    3,
    ("disease/HCC",),
    ("training_a",),
    TENSORS,
    LocalRule(clip=1.0),
    RECIPE,
    "p",
    "f",
    5,
)


def test_a_task_comes_back_whole() -> None:
    task = decode(to_bytes(TASK))
    assert isinstance(task, Task)
    assert digest(task.inputs) == digest(TASK.inputs)
    for name in (
        "kind",
        "study",
        "seed",
        "stage",
        "round",
        "nets",
        "cohorts",
        "rule",
        "recipe",
        "frozen",
        "replicates",
    ):
        assert getattr(task, name) == getattr(TASK, name), name


def test_updates_and_refusals_come_back() -> None:
    update = decode(to_bytes(Update("site-01", {"a": torch.ones(2)}, 12.0, 0.5)))
    assert isinstance(update, Update)
    assert (update.site, update.weight, update.spent, update.sums["a"].tolist()) == (
        "site-01",
        12.0,
        0.5,
        [1.0, 1.0],
    )
    refusal = Refusal("site-02", "not today", "policy")
    assert decode(to_bytes(refusal)) == refusal


def test_the_safetensors_library_reads_the_same_tensors() -> None:
    assert digest(safetensors.torch.load(to_bytes(TASK))) == digest(TENSORS)


def test_tensors_are_views_of_the_received_buffer() -> None:
    buffer = bytearray(to_bytes(Update("s", {"a": torch.zeros(4)}, 1.0)))
    update = decode(buffer)
    assert isinstance(update, Update)
    buffer[-4:] = torch.tensor([1.0]).numpy().tobytes()
    assert update.sums["a"].tolist() == [0.0, 0.0, 0.0, 1.0]


def test_large_tensors_are_not_copied_when_encoding() -> None:
    tensor = torch.zeros(SMALL_TENSOR + 1)
    tensor_bytes = encode(Update("s", {"a": tensor}, 1.0))[2]
    tensor[0] = 7.0
    assert memoryview(tensor_bytes).cast("f")[0] == 7.0


def test_a_dtype_that_does_not_travel_is_named() -> None:
    with pytest.raises(WireError, match="a has torch.float16"):
        encode(Update("s", {"a": torch.zeros(1, dtype=torch.float16)}, 1.0))


def test_narrow_tensors_come_back_and_every_byte_is_counted() -> None:
    sums = {
        "a|change": torch.tensor([-127, 0, 127], dtype=torch.int8),
        "b|change": torch.tensor([-32767, 5], dtype=torch.int16),
        "c|w": torch.tensor([1.0, -0.125], dtype=torch.bfloat16),
        "c|#weight": torch.tensor(3.0, dtype=torch.float64),  # at an odd place among the bytes
    }
    update = Update("site-01", sums, 12.0)
    found = decode(to_bytes(update))
    assert isinstance(found, Update)
    assert digest(found.sums) == digest(sums)
    for message in (update, replace(TASK, changes=Quantisation(12)), Refusal("site-01", "no lesions")):
        assert count_bytes(message) == len(to_bytes(message))


def forged(change: dict[str, object], tail: bytes = b"") -> bytes:
    raw = to_bytes(Update("s", {"a": torch.zeros(4)}, 1.0))
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size]) | change
    head = json.dumps(header).encode()
    return len(head).to_bytes(8, "little") + head + raw[8 + size :] + tail


BODY = {"type": "Update", "protocol": str(PROTOCOL)}


@pytest.mark.parametrize(
    ("raw", "rule"),
    [
        (b"", "expected at least 8 bytes"),
        ((2**60).to_bytes(8, "little") + b"{}", "expected a header within"),
        ((2).to_bytes(8, "little") + b"[]", "an entry for each tensor"),
        ((2).to_bytes(8, "little") + b"{]", "expected a header in JSON"),
        (forged({"__metadata__": {"type": "Pickle"}}), "found another type"),
        (forged({"__metadata__": {**BODY, "protocol": "99"}}), "install the same version"),
        (forged({"__metadata__": {**BODY, "body": '{"site": "s", "weight": NaN, "spent": 0}'}}), "Update"),
        (
            forged({"__metadata__": {**BODY, "body": '{"site": "s", "weight": 1, "spent": 0, "rows": []}'}}),
            "rows",
        ),
        (forged({"a": {"dtype": "F32", "shape": [5], "data_offsets": [0, 16]}}), "do not match"),
        (forged({"a": {"dtype": "F32", "shape": [-4], "data_offsets": [0, 16]}}), "not of this protocol"),
        (forged({"a": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 16]}}), "do not match"),
        (forged({"a": {"dtype": "F16", "shape": [8], "data_offsets": [0, 16]}}), "not of this protocol"),
        (forged({"b": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}), "do not match"),
        (forged({}, b"extra"), "5 bytes belong to none"),
        (forged({"__metadata__": {**BODY, "type": ["Update"]}}), "found another type"),
        (forged({"__metadata__": {**BODY, "body": {"site": "s"}}}), "found none or more"),
        (forged({"__metadata__": {**BODY, "body": " " * (257 << 10)}}), "at most 262144"),
        (forged({"__metadata__": {**BODY, "body": '{"site": "\ud800", "weight": 1, "spent": 0}'}}), "UTF-8|Update"),
        (forged({"__metadata__": {**BODY, "body": '{"site": "a\\nb", "weight": 1, "spent": 0}'}}), "printable"),
        (forged({"__metadata__": {**BODY, "body": json.dumps({"site": "s" * 300})}}), "at most 256"),
        (forged({"a": {"dtype": "F32", "shape": [float("inf")], "data_offsets": [0, 16]}}), "not of this protocol"),
        (forged({"a": {"dtype": "F32", "shape": ["4"], "data_offsets": [0, 16]}}), "not of this protocol"),
        (forged({"a": {"dtype": "F32", "shape": [True, 4], "data_offsets": [0, 16]}}), "not of this protocol"),
        (forged({"a": {"dtype": "F32", "shape": [1] * 9, "data_offsets": [0, 4]}}), "not of this protocol"),
        (forged({"a": {"dtype": ["F32"], "shape": [4], "data_offsets": [0, 16]}}), "not of this protocol"),
        (forged({"a": [1, 2, 3]}), "not of this protocol"),
        (forged({"a": {"dtype": "U8", "shape": [0, 2**40, 2**40], "data_offsets": [0, 0]}}), "larger than the limit"),
        (forged({"n" * 300: {"dtype": "F32", "shape": [0], "data_offsets": [16, 16]}}), "at most 256"),
        (forged({"\x1b[2J": {"dtype": "F32", "shape": [0], "data_offsets": [16, 16]}}), "printable"),
    ],
)
def test_forged_messages_are_refused_by_rule(raw: bytes, rule: str) -> None:
    with pytest.raises(WireError, match=rule):
        decode(raw)


def test_mutated_messages_decode_or_are_refused() -> None:
    raw, chance = bytearray(to_bytes(TASK)), random.Random(0)
    refused = 0
    for _ in range(500):
        copy = bytearray(raw)
        for _ in range(3):
            copy[chance.randrange(len(copy))] = chance.randrange(256)
        try:
            decode(copy)
        except WireError:
            refused += 1
    assert refused > 50


def test_a_rule_that_cannot_train_is_refused() -> None:
    raw = to_bytes(TASK).replace(b'epochs\\":1', b'epochs\\":0')
    with pytest.raises(WireError, match="expected epochs above 0"):
        decode(raw)


@pytest.mark.parametrize(("width", "nearest"), [(-4, 8), (0, 8), (2, 8), (4, 8), (12, 16), (63, 64)])
def test_a_width_that_is_no_multiple_of_eight_is_refused(width: int, nearest: int) -> None:
    rule = f"width must be a multiple of 8, not {width}; make it {nearest}"
    with pytest.raises(ValidationError, match=rule):
        Architecture(width=width)
    raw = to_bytes(TASK)
    size = int.from_bytes(raw[:8], "little")
    head = raw[8 : 8 + size].replace(b'width\\":64', b'width\\":%d' % width)
    with pytest.raises(WireError, match=f"Task.recipe.architecture.width: .*{rule}"):
        decode(len(head).to_bytes(8, "little") + head + raw[8 + size :])


def test_what_a_message_is_refused_for_can_be_shown_on_a_terminal() -> None:
    odd = forged({"__metadata__": {**BODY, "protocol": "\x1b[2J\ud800" + "9" * 10_000}})
    with pytest.raises(WireError) as caught:
        decode(odd)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) <= 256
    to_bytes(Refusal("site", str(caught.value)))


def test_a_reason_is_cleaned_on_its_way() -> None:
    there = decode(to_bytes(Refusal("site", "line\none\x1b[31m" + "x" * 5000)))
    assert isinstance(there, Refusal)
    assert there.reason.startswith("line?one?[31mxx")
    assert len(there.reason) == 4000


@pytest.mark.parametrize(
    "head",
    [
        b"[" * (4 << 20),
        b"[" + b"[]," * (1 << 18) + b"[]]",
        b"{" + b",".join(b'"%d":0' % n for n in range(400_000)) + b"}",
        b'{"a":' * 500_000,
        b"1" * (3 << 20),
        b'{"a": {"dtype": "F32", "shape": [' + b"9" * 4000 + b'], "data_offsets": [0, 16]}}',
        b'{"__metadata__": {"type": "Task", "protocol": "6", "body": "[' + b"1," * 20_000 + b'1]"}}',
        b'{"__metadata__": {"type": "Task", "protocol": "6", "body": "' + b"[" * 60_000 + b'"}}',
    ],
    ids=["deep", "wide", "many keys", "deep tables", "long number", "long size", "long body", "deep body"],
)
def test_absurd_headers_cost_little_memory_and_time(head: bytes) -> None:
    raw = len(head).to_bytes(8, "little") + head
    tracemalloc.start()
    begun = time.monotonic()
    try:
        with pytest.raises(WireError):
            decode(raw)
        assert tracemalloc.get_traced_memory()[1] < 256 << 20
    finally:
        tracemalloc.stop()
    assert time.monotonic() - begun < 10


def test_a_body_of_many_faults_is_not_listed_in_full() -> None:
    body = json.dumps({"nets": [1] * 21_000})
    tracemalloc.start()
    try:
        with pytest.raises(WireError, match="Task"):
            decode(forged({"__metadata__": {"type": "Task", "protocol": str(PROTOCOL), "body": body}}))
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("key", ["data_offsets", "data\\u005foffsets"])
def test_too_many_empty_tensors_are_refused_before_one_is_made(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    """They take no bytes, only time and memory; the key may be written with an escape."""
    monkeypatch.setattr("ceus_models.protocol.encoding.parse_tensors", lambda *_: pytest.fail("tensors were made"))
    entry = f'{{"dtype":"U8","shape":[0],"{key}":[0,0]}}'
    head = ("{" + ",".join(f'"{n}":{entry}' for n in range(60_000)) + "}").encode()
    for raw in (head, head.replace(b"{", b'{"__metadata__":{},', 1)):
        with pytest.raises(WireError, match="at most 30000 tensors"):
            decode(len(raw).to_bytes(8, "little") + raw)


@pytest.mark.parametrize("kind", ["hello", "offer", "tally", "unmask"])
def test_a_task_without_a_net_brings_no_megabytes(monkeypatch: pytest.MonkeyPatch, kind: Kind) -> None:
    assert MAX_INPUT_BYTES[kind] <= 256 << 20
    monkeypatch.setattr("ceus_models.protocol.encoding.MAX_INPUT_BYTES", {**MAX_INPUT_BYTES, kind: 1 << 20})
    task = Task(kind, "plan", 7, "stage", 0, inputs={"x": torch.zeros(2 << 20, dtype=torch.uint8)})
    assert isinstance(decode(to_bytes(replace(task, inputs={"x": torch.zeros(64, dtype=torch.uint8)}))), Task)
    monkeypatch.setattr("ceus_models.protocol.encoding.parse_tensors", lambda *_: pytest.fail("tensors were made"))
    with pytest.raises(WireError, match=f"in a task of kind {kind}, found more"):
        decode(to_bytes(task))


def test_a_message_larger_than_was_asked_for_is_not_looked_at() -> None:
    data = to_bytes(Update("a", {"x": torch.zeros(1000)}, 1.0))
    assert isinstance(decode(data, len(data)), Update)
    with pytest.raises(WireError, match=f"at most {len(data) - 1} bytes for this task"):
        decode(data, len(data) - 1)
    with pytest.raises(WireError, match="at most 10 bytes"):
        decode(b"no message at all", 10)
