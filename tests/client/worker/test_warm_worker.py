"""What makes a message cheap: after the first round the worker imports nothing and reads no sample again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from small_hospital import SmallHospital

from ceus_models.nets.module_cache import build_initial_state
from ceus_models.plan.plan import Plan
from ceus_models.plan.stages import Hello
from ceus_models.protocol.encoding import decode, to_bytes
from ceus_models.protocol.messages import LocalRule, Task, Update
from ceus_models.protocol.state import add_prefix
from client.courier.ipc import ask
from client.data.dataset.cache import cache_folder, write_sample
from client.data.dataset.file_digests import compute_file_digest
from client.data.dataset.index_file import write_index
from client.data.forms.site_config import load_site
from tests.support.clients import LITTLE, SMALL, lesion
from tests.support.federation import COHORT, recipe_for

HERE = Path(__file__).parents[2] / "support"
NET, COUNT = "disease/HCC", 6
OWN_FILES = ("policy.yaml", "standing.json", "index.json", ".csv", "audit.", "head", "records", "memory")
"""What a task may open: what the hospital may have changed, and what is written down."""


def indexed(folder: Path) -> Path:
    """A hospital's folder with an index of made-up samples."""
    SmallHospital(folder, COUNT).write()
    config = load_site(folder)
    files = [f"{number:064x}.safetensors" for number in range(COUNT)]
    for number, name in enumerate(files):
        write_sample(lesion("site-01", number, SMALL), cache_folder(config) / name)
    write_index(config, SMALL, compute_file_digest(config.table), list(enumerate(files, 2)), {})
    return folder


def tasks() -> dict[str, Task]:
    plan = Plan("warm", (Hello("hello"),), processing=SMALL, architecture=LITTLE)
    recipe = recipe_for(plan)
    inputs = add_prefix(build_initial_state(NET, recipe, 1), f"{NET}|")
    asked = Task("train", plan.digest(), 1, "one", 1, (NET,), (COHORT,), inputs, processing=SMALL.digest())
    asked = replace(asked, recipe=recipe)
    return {
        "hello": replace(asked, kind="hello", stage="hello", round=0, nets=(), inputs={}, recipe=None),
        "tally": replace(asked, kind="tally", stage="statistics", round=0, nets=(), inputs={}, recipe=None),
        "train": replace(asked, rule=LocalRule(batch_size=4, learning_rate=0.01)),
        "evaluate": replace(asked, kind="evaluate", comparisons=True),
    }


@contextmanager
def working(scratch: Path) -> Iterator[tuple[Path, Path]]:
    """A watched worker's socket and log."""
    folder, log = scratch / "site-01", scratch / "watched"
    folder.mkdir()
    indexed(folder)
    imports = os.pathsep.join((str(HERE), str(HERE.parents[1])))
    with tempfile.TemporaryDirectory(prefix="ceus-test-") as short:
        path = Path(short) / "w.sock"
        command = [sys.executable, str(HERE / "watched_worker.py"), str(log), str(folder), str(path)]
        process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": imports}, stdout=subprocess.DEVNULL)
        try:
            end = time.monotonic() + 120
            while not path.is_socket():
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.05)
            yield path, log
        finally:
            process.kill()
            process.wait()


def round_of(path: Path, number: int) -> None:
    for kind, task in tasks().items():
        there = number if kind in ("train", "evaluate") else 0
        answer = decode(ask(path, to_bytes(replace(task, round=there)), 60.0))
        assert isinstance(answer, Update), (kind, answer)
        assert answer.weight == COUNT


def test_after_the_first_round_nothing_is_imported_and_no_sample_is_read(tmp_path: Path) -> None:
    with working(tmp_path) as (path, log):
        round_of(path, 1)
        begun = log.read_text()
        for number in (2, 3):
            round_of(path, number)
        later = [json.loads(line) for line in log.read_text()[len(begun) :].splitlines()]
    first = [json.loads(line) for line in begun.splitlines()]
    assert sum(name.endswith(".safetensors") for event, name in first if event == "open") >= COUNT, (
        "the watch sees them"
    )
    assert any(event == "import" for event, _ in first)
    assert [name for event, name in later if event != "open"] == []
    named = [name for _, name in later if not name.isdecimal()]  # a number is a file that is open already
    strange = [name for name in named if not any(part in name for part in OWN_FILES)]
    assert strange == []
    assert any("audit" in name for name in named), "the watch was on"
