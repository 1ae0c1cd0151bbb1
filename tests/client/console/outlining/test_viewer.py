"""Clips are read in a process of their own, which costs nobody else when it ends or hangs."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import psutil
import pytest
from made_outlining import PROCESSING, SQUARE
from small_hospital import FRAMES, SmallHospital

from ceus_models.runtime.errors import ExpectedError
from client.console.outlining.cases import find_case
from client.console.outlining.viewer import Viewer
from client.data.dataset.worker_pool import Limits
from client.data.forms.site_config import SiteConfig, load_site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> SiteConfig:
    return load_site(SmallHospital(tmp_path_factory.mktemp("site"), 2).write())


@pytest.fixture
def viewer(site: SiteConfig) -> Iterator[Viewer]:
    made = Viewer(find_case(site, 2), site)
    yield made
    made.close()


def wait_for_trace(viewer: Viewer, line: int) -> dict[str, object]:
    while (answer := viewer.read_trace(line))["state"] == "working":
        time.sleep(0.05)
    return answer


def test_frames_curves_and_traces_come_from_the_process(site: SiteConfig, viewer: Viewer) -> None:
    case = find_case(site, 2)
    assert len(viewer.facts().seconds) == FRAMES
    assert viewer.is_ready()
    assert viewer.draw_frame(0).startswith(b"\xff\xd8")
    with pytest.raises(IndexError):
        viewer.draw_frame(FRAMES)
    assert len(viewer.measure_place((35, 39), 5, PROCESSING)) == FRAMES
    assert viewer.read_trace(2) == {"state": "none"}
    viewer.start_trace(2, SQUARE, 3, case, PROCESSING)
    answer = wait_for_trace(viewer, 2)
    assert answer["state"] == "done"
    assert viewer.read_trace(2) == answer, "also when it is asked again"
    assert viewer.read_trace(3) == {"state": "none"}, "another lesion of the same clips"


def test_of_outlines_that_follow_quickly_the_last_one_counts(site: SiteConfig, viewer: Viewer) -> None:
    case = find_case(site, 2)
    viewer.facts()
    for move in range(5):
        viewer.start_trace(2, SQUARE + move, 3, case, PROCESSING)
    answer = wait_for_trace(viewer, 2)
    assert (answer["state"], answer["box"]) == ("done", [18, 22, 61, 65])


def test_threads_may_start_and_leave_it(site: SiteConfig) -> None:
    made: list[Viewer] = []
    starter = threading.Thread(target=lambda: made.append(Viewer(find_case(site, 2), site)))
    starter.start()
    starter.join()
    try:
        time.sleep(0.5)
        assert len(made[0].facts().seconds) == FRAMES
    finally:
        made[0].close()


def test_the_pictures_are_gone_with_it(site: SiteConfig, viewer: Viewer) -> None:
    viewer.facts()
    child = psutil.Process(viewer._pid.result())
    assert not [path for path in site.work.rglob("*") if path.is_file()], "panes have no name"
    viewer.close()
    child.wait(10)


def test_a_process_that_ends_is_told(viewer: Viewer) -> None:
    viewer.facts()
    os.kill(viewer._pid.result(), signal.SIGKILL)
    psutil.Process(viewer._pid.result()).wait(10)
    for ask in (lambda: viewer.draw_frame(0), lambda: viewer.measure_place((1, 1), 2, PROCESSING)):
        with pytest.raises(ExpectedError, match="open the lesion again"):
            ask()


def test_clips_that_cannot_be_read_are_told_with_the_remedy(tmp_path: Path) -> None:
    made = SmallHospital(tmp_path, 1)
    made.path(0, "clips").write_bytes(b"RIFF" + bytes(2000))
    site = load_site(made.write())
    viewer = Viewer(find_case(site, 2), site)
    try:
        with pytest.raises(ExpectedError, match="export the clip again"):
            viewer.facts()
    finally:
        viewer.close()


def test_memory_has_a_limit(site: SiteConfig) -> None:
    viewer = Viewer(find_case(site, 2), site, Limits(memory_bytes=1 << 20))
    child = psutil.Process(viewer._pid.result())
    with pytest.raises(ExpectedError, match="300 s and 1 MiB of memory, these were not"):
        viewer.facts()
    with pytest.raises(ExpectedError, match="open the lesion again"):
        viewer.draw_frame(0)
    child.wait(10)


def test_reading_has_a_limit(site: SiteConfig) -> None:
    viewer = Viewer(find_case(site, 2), site, Limits(seconds=0.5))
    child = psutil.Process(viewer._pid.result())
    viewer._opening = Future()  # as of a decoder that hangs
    with pytest.raises(ExpectedError, match=r"within 0\.5 s"):
        viewer.facts()
    child.wait(10)
