from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from client.courier.ipc import WorkerUnreachableError, read_status
from client.data.dataset.file_digests import compute_file_digest
from client.data.dataset.index_file import write_index
from client.data.forms.site_config import SiteConfig, load_site
from client.data.forms.withdrawals import Withdrawal, add_withdrawal
from client.worker.site.opt_out import Participation, write_participation
from client.worker.status import WorkerStatus, serve_status, watch_obstacles
from tests.support.clients import SMALL
from tests.support.open_policy import open_text


@pytest.fixture
def path() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="ceus-test-"))
    yield folder / "w.state"
    shutil.rmtree(folder)


class Clock:
    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def site(tmp_path: Path) -> SiteConfig:
    (tmp_path / "site.yaml").write_text("schema: 1\ncenter: 5\nname: H\n")
    (tmp_path / "policy.yaml").write_text(open_text())
    (tmp_path / "lesions.csv").write_text("the table")
    return load_site(tmp_path)


def test_it_says_what_it_does_while_it_does_it_and_whether_anybody_waits(path: Path) -> None:
    clock = Clock()
    status = WorkerStatus("site-01", clock=clock)
    with serve_status(path, status), ExitStack() as stack:
        clock.at += 7
        idle = {"doing": "waiting", "for_s": 7.0, "alone_s": 0.0, "answers": 0, "wrong": "", "chosen": ""}
        assert read_status(path) == {"site": "site-01", **idle}
        here, courier = socket.socketpair()
        stack.enter_context(here)
        here.settimeout(120.0)
        with status.track(here):
            clock.at += 3
            said = read_status(path)
            assert (said["doing"], said["for_s"], said["alone_s"]) == ("working", 3.0, 0.0)
            courier.sendall(b"more of the request")
            assert read_status(path)["alone_s"] == 0.0
            courier.close()
            read_status(path)
            clock.at += 20
            assert read_status(path)["alone_s"] == 20.0
        assert here.recv(100) == b"more of the request"  # nothing was taken from it
        assert (read_status(path)["doing"], read_status(path)["answers"]) == ("waiting", 1)


def test_who_asks_cannot_hold_it_up_and_a_dead_worker_is_told_as_such(path: Path) -> None:
    with serve_status(path, WorkerStatus("site-01")), ExitStack() as stack:
        for _ in range(20):  # they connect, send, and never read
            one = stack.enter_context(socket.socket(socket.AF_UNIX))
            one.connect(str(path))
            with suppress(BrokenPipeError):
                one.sendall(b"x" * 100)
        assert read_status(path, 10.0)["site"] == "site-01"
    with pytest.raises(WorkerUnreachableError, match="reports no status"):
        read_status(path)


def test_why_tasks_are_refused_is_part_of_it(site: SiteConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    found = watch_obstacles(site)
    assert "found no index" in found()[0]
    write_index(site, SMALL, compute_file_digest(site.table), [], {})
    assert found() == ("", "")
    site.table.write_text("another table")
    assert "made with another table" in found()[0]
    site.table.write_text("the table")
    site.records.mkdir(exist_ok=True)
    add_withdrawal(site.records, Withdrawal("p", "now", ()))
    assert found() == ("", "")
    (site.records / "withdrawn.json").write_text("no JSON")
    assert "withdrawn.json cannot be read" in found()[0]
    (site.records / "withdrawn.json").unlink()
    write_participation(site.records, Participation().pause())
    assert found()[0] == ""
    assert "is paused since" in found()[1]
    write_participation(site.records, Participation().withdraw("ab" * 32))
    assert found() == ("", "withdrawn from a study")
    (site.records / "standing.json").write_text("no JSON")
    assert "standing.json cannot be read" in found()[0]
    (site.folder / "policy.yaml").write_text(open_text(kinds=["nonsense"]))
    assert "policy.yaml has a fault" in found()[0]
    (site.folder / "policy.yaml").write_text(open_text())
    monkeypatch.setattr("client.worker.status.LEAST_FREE_BYTES", 1 << 60)
    assert "are free on the disk" in found()[0]
