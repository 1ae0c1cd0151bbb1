"""One reader of YAML for both sides: lines, keys that stand twice, numbers of YAML 1.2, and bounds."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ceus_models.runtime.errors import ExpectedError, FaultList
from ceus_models.runtime.yaml_lines import YamlWithLines, read_yaml_with_lines
from ceus_models.study.processing import load_processing
from sim.experiments.overrides import parse_settings


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
        ("a: 1\n? [b, c]\n: 2\n", "a key is one word", 2),
        ("a: 1\nb: " + "1:" * 500 + "1\n", "a number has at most 64 characters", 2),
        ("a: 1\n" + "1" * 65 + ": 1\n", "a number has at most 64 characters", 2),
        ("a: 1\nb: 0x" + "f" * 100 + "\n", "a number has at most 64 characters", 2),
    ],
)
def test_what_breaks_a_rule_is_told(tmp_path: Path, text: str, rule: str, line: int | None) -> None:
    with pytest.raises(FaultList, match=rule) as caught:
        read(tmp_path, text)
    assert [fault.row for fault in caught.value.faults] == [line]


def nest_lists(place: Callable[[int, str], str]) -> str:
    """Some 500 bytes that unfold to 9¹¹ values. place: writes a level into the document."""
    return "".join(place(level, f"[{', '.join([f'*a{level - 1}'] * 9)}]" if level else "[x]") for level in range(12))


BOMBS = {
    "values": nest_lists(lambda level, text: f"a{level}: &a{level} {text}\n"),
    "a key": nest_lists(lambda level, text: f"a{level}: &a{level} {text}\n") + "? *a11\n: 1\n",
    "keys": nest_lists(lambda level, text: f"? &a{level} {text}\n: 1\n"),
    "merged keys": "".join(
        f"? &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 9)}], k{n}: 1}}\n: 1\n" if n else "? &m0 {k: 1}\n: 1\n"
        for n in range(10)
    ),
    "merged values": "".join(
        f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 9)}], k{n}: 1}}\n" if n else "m0: &m0 {k: 1}\n"
        for n in range(10)
    ),
    "a number": "seed: " + "59:" * 300_000 + "1\n",
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", BOMBS)
def test_a_small_file_that_unfolds_to_gigabytes_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    begun = time.process_time()
    with pytest.raises(FaultList):
        read(tmp_path, BOMBS[kind])
    with pytest.raises(FaultList):
        load_processing(tmp_path / "a.yaml")  # as `ceus-site index --plan` does
    with pytest.raises(ExpectedError):
        parse_settings([f"seed={BOMBS[kind]}"])
    assert time.process_time() - begun < 3
