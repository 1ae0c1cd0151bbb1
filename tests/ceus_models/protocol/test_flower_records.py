from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents

from ceus_models.protocol.flower_records import from_record, to_record


@pytest.mark.parametrize("size", [0, 1, 5 << 20, (5 << 20) + 1, 12_345_678])
def test_bytes_survive_flowers_own_wire(size: int) -> None:
    data = np.random.default_rng(size).bytes(size)
    record = to_record(data)
    objects = get_all_nested_objects(record)
    back = inflate_object_from_contents(record.object_id, {key: one.deflate() for key, one in objects.items()})
    assert from_record(back) == data


def test_a_large_message_is_cut_into_pieces_and_equal_pieces_are_stored_once() -> None:
    pieces = [
        key for key, one in get_all_nested_objects(to_record(bytes(20 << 20))).items() if "Chunk" in str(type(one))
    ]
    assert len(pieces) == 1  # four equal pieces of zeros
    other = get_all_nested_objects(to_record(np.random.default_rng(0).bytes(20 << 20)))
    assert sum("Chunk" in str(type(one)) for one in other.values()) == 4


def test_nothing_is_copied_on_the_way_in_and_out() -> None:
    data = bytes(1000)
    assert from_record(to_record(data)) is data


@pytest.mark.parametrize(
    "content",
    [
        RecordDict(),
        RecordDict({"message": ConfigRecord({"bytes": b"x"})}),
        RecordDict({"message": ArrayRecord([np.zeros(3, np.uint8)])}),
        RecordDict({"message": ArrayRecord({"bytes": Array(np.zeros(3, np.uint8))})}),
        RecordDict({**to_record(b"x"), "more": ConfigRecord()}),
    ],
    ids=["empty", "config", "unnamed", "in numpy's format", "one too many"],
)
def test_any_other_content_is_refused(content: RecordDict) -> None:
    with pytest.raises(ValueError, match="expected one record|as uint8"):
        from_record(content)


def test_a_courier_imports_no_torch_and_nothing_that_reads_data() -> None:
    """Flower starts a courier for every message: its imports are the price of each."""
    code = "import sys, client.courier.client_app\n"
    code += "print([m for m in ('torch', 'cv2', 'pydicom', 'pandas') if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
