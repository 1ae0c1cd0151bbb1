"""What a worker raises leaves its process as it was: an error that cannot be rebuilt ends the run as a bug."""

from __future__ import annotations

import importlib
import pickle
import pkgutil
from pathlib import Path
from types import ModuleType

import pytest

import ceus_models.runtime
import client.data
import client.faults
from ceus_models.runtime.errors import Fault
from client.data.dataset.index_report import IndexReport
from client.data.dataset.worker_pool import map_trusted
from client.data.imaging.recording import ClipError, check_size

FAULT = Fault("lesions.csv", 3, "clips", "unreadable-clip", "a rule", "a value", "a remedy")
REPORT = IndexReport(0, 0, {}, (), (FAULT,), Path("index.json"))
PARTS = ("unreadable-clip", "a rule", "a value", "a remedy")
MADE_OF: dict[str, tuple[object, ...]] = {
    **dict.fromkeys(("Unusable", "ClipError", "DoubtedClip", "OutlineError", "UntrustedTrack"), PARTS),
    **dict.fromkeys(("ExpectedError", "DiskFullError", "UnknownDigestError"), ("a text",)),
    "FaultList": ((FAULT, FAULT),),
}
"""Class -> what it is made of."""
WITHIN = {"TooManySkippedError": "raised by the process that has the workers", "WorkbookError": "caught by its reader"}
"""Classes that never leave a worker, and why."""


def modules(package: ModuleType) -> list[ModuleType]:
    found = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    return [importlib.import_module(one.name) for one in found]


def errors() -> dict[str, type[Exception]]:
    """Every public exception class of what reads a lesion, by name."""
    found = {}
    for module in (one for package in (client.data, client.faults, ceus_models.runtime) for one in modules(package)):
        own = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, Exception)]
        found |= {one.__name__: one for one in own if one.__module__ == module.__name__ and one.__name__[0] != "_"}
    return found


def test_every_error_comes_out_of_a_worker_as_it_was() -> None:
    found = errors()
    assert {"ClipError", "OutlineError", "UntrustedTrack", "FaultList"} <= set(found)
    assert not set(found) - set(MADE_OF) - set(WITHIN), "say here what a new class is made of, or that it stays"
    for name, parts in MADE_OF.items():
        error = found[name](*parts)
        copy = pickle.loads(pickle.dumps(error))
        assert type(copy) is found[name]
        assert (str(copy), vars(copy)) == (str(error), vars(error))


def refuse(rows: int) -> int:
    """Work of a worker that meets a screen of no rows."""
    check_size("video", rows, 100)
    return rows


def test_a_real_process_hands_a_clip_error_over() -> None:
    with pytest.raises(ClipError, match="no image in the file") as caught:
        list(map_trusted(refuse, [0], 1))
    assert caught.value.reason == "unreadable-clip"
