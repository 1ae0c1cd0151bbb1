"""One reader of YAML for both sides: lines, keys that stand twice, numbers of YAML 1.2, and bounds."""

from __future__ import annotations

from pathlib import Path

import pytest

from ceus_models.runtime.errors import FaultList
from ceus_models.runtime.yaml_lines import YamlWithLines, read_yaml_with_lines


def read(folder: Path, text: str) -> YamlWithLines:
    (folder / "a.yaml").write_text(text, encoding="utf-8")
    return read_yaml_with_lines(folder / "a.yaml", "bad-file")


def test_values_keep_their_lines(tmp_path: Path) -> None:
    document = read(tmp_path, "a: 1e-3\nb:\n  - c: x\n  - c: y\na: 2\n")
    assert document.values == {"a": 2, "b": [{"c": "x"}, {"c": "y"}]}
    assert document.line_of(("b", 1, "c")) == 4
    assert document.line_of(("b", 1, "missing")) == 4
    assert [str(fault) for fault in document.error(document.repeated).faults] == [
        "a.yaml line 1, a: a key stands once, found it again on line 5; delete one of the two"
    ]
    assert read(tmp_path, "rate: 1e-3").values == {"rate": 0.001}


def test_a_validators_own_tags_stand_in_no_file(tmp_path: Path) -> None:
    document = read(tmp_path, "stages:\n  - stage: train\n    epochs: x\n")
    assert document.found(("stages", 0, "train", "epochs")) == ("stages", 0, "epochs")
    assert document.line_of(document.found(("stages", 0, "train", "epochs"))) == 3
    assert document.found(("elsewhere",)) == ()


@pytest.mark.parametrize(
    ("text", "rule", "line"),
    [
        ("a: [1", "the file is YAML", 1),
        ("a: 1\nb: !!python/object:os.system {}\n", "the file is YAML", 2),
        ("[" * 30 + "]" * 30, "at most 20 levels", 1),
        ("a: " + "x" * 2**20, "at most 1024 KiB", None),
        ("a: &a [" + "x, " * 150 + "x]\nb: [" + "*a, " * 150 + "*a]", "at most 20000 values", None),
    ],
)
def test_what_breaks_a_rule_is_told(tmp_path: Path, text: str, rule: str, line: int | None) -> None:
    with pytest.raises(FaultList, match=rule) as caught:
        read(tmp_path, text)
    assert [fault.row for fault in caught.value.faults] == [line]
