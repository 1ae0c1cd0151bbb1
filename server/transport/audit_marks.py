"""The newest mark of every site's audit in the message logs of all studies: a site has one audit for all of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ceus_models.protocol.audit_mark import AuditMark
from server.transport.audit_watch import parse_mark
from server.transport.message_log import FILE, LoggedMessage


@dataclass
class AuditMarks:
    """Follows the message logs of the studies, each from where it was read last.

    Args:
        folders: lists the folders of all runs of the federation.
    """

    folders: Callable[[], Iterable[Path]]
    _places: dict[Path, int] = field(default_factory=dict, init=False)
    _newest: dict[str, tuple[float, AuditMark]] = field(default_factory=dict, init=False)

    def read(self) -> Mapping[str, AuditMark]:
        """Site → its newest mark so far."""
        for folder in self.folders():
            for line in self._read_new(folder / FILE):
                self._take(line)
        return {site: mark for site, (_, mark) in self._newest.items()}

    def _read_new(self, path: Path) -> Iterator[LoggedMessage]:
        """The whole lines that are new in a log; a log that was put aside begins anew."""
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            return
        place = self._places.get(path, 0)
        place = place if place <= size else 0
        with path.open("rb") as file:
            file.seek(place)
            whole = file.read().rpartition(b"\n")[0] + b"\n"  # what follows is being written
        self._places[path] = place + len(whole)
        for line in whole.splitlines():
            with suppress(ValueError):
                yield json.loads(line)

    def _take(self, line: LoggedMessage) -> None:
        mark = parse_mark(line)
        if mark is None:
            return
        known = self._newest.get(line["site"])
        if known is None or _is_newer(line["at"], mark, *known):
            self._newest[line["site"]] = line["at"], mark


def _is_newer(at: float, mark: AuditMark, known_at: float, known: AuditMark) -> bool:
    """By its number; after a hospital said that its records came back, numbers begin lower, and the time decides."""
    return mark.number > known.number if mark.restored == known.restored else at >= known_at
