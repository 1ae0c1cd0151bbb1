"""The loop of the receiver: what arrived is handed on until it was taken, and a full disk ends nothing."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from client.data.forms.receive_form import ReceiveForm
from client.service.receiving.staging import StagedStudies
from client.service.receiving.storage_service import StorageService, receive_until


class Scripted(StorageService):
    """A service without a network, whose sweeps are given."""

    def __init__(self, staged: StagedStudies) -> None:
        self.events: list[Mapping[str, object]] = []
        super().__init__(staged, self.events.append)
        self.sweeps = 0

    @contextmanager
    def listen(self) -> Iterator[None]:
        yield

    def sweep(self) -> list[Path]:
        self.sweeps += 1
        if self.sweeps == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return [Path(str(self.sweeps))] if self.sweeps in (1, 4) else []


def test_what_was_not_taken_is_handed_on_again(tmp_path: Path) -> None:
    limits = ReceiveForm.model_validate({"title": "US", "callers": [{"title": "PACS"}], "quiet_s": 1})
    service, seen = Scripted(StagedStudies(tmp_path, b"k", limits)), list[list[str]]()

    def take(moved: list[Path]) -> bool:
        seen.append([str(path) for path in moved])
        return len(seen) != 1

    receive_until(service, take, lambda: service.sweeps >= 5)
    assert seen == [["1"], ["1"], ["4"]]
    assert [one["event"] for one in service.events] == ["trouble"]
