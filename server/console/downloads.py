"""Files that the console gives away: what a run left, and what a coordinator sends to a site."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from ceus_models.pki.enrolment import NAME
from server.console.chosen_study import choose_study
from server.console.sign_in.sessions import get_visitor
from server.report.publish import BUNDLE, CHECKLISTS, REPORT, RESULTS, TABLES
from server.run_folder.action_log import Actor, log_action
from server.run_folder.paths import Home, StudyFolder
from server.run_folder.studies import list_by_urgency

_PIECE = 1 << 20
_PUBLISHED = {
    "report.html": (REPORT, "Report"),
    "results.json": (RESULTS, "Results"),
    "tables.zip": (TABLES, "Tables"),
    "checklists.zip": (CHECKLISTS, "Reporting checklists"),
    "model.zip": (BUNDLE, "Model bundle"),
}
PUBLISHED = {name: place for name, (place, _) in _PUBLISHED.items()}
"""Name of a download → file or folder of the run."""
_WORDS = {name: words for name, (_, words) in _PUBLISHED.items()}


@dataclass(frozen=True)
class Downloads:
    """roles: who may have what a run left; what is sent to sites is for coordinators."""

    home: Home
    render: Callable[..., Response]
    roles: Collection[str]

    def list_routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/download", self._give(self.list_files, self.roles), methods=["GET"]),
            Route("/download/{file}", self._give(self.give_result, self.roles), methods=["GET"]),
            Route("/kits/{name}", self._give(self.give_kit), methods=["GET"]),
            Route("/roster.json", self._give(self.give_roster), methods=["GET"]),
            Route("/bundle.fab", self._give(self.give_bundle), methods=["GET"]),
        ]

    def list_files(self, request: Request) -> Response:
        """What there is of a study."""
        study = self._find_study(request)
        if study is None:
            return _absent()
        known = {"files": list_published(study), "of": study.name, "words": _WORDS}
        return self.render(request, "download", f"Download: {study.name}", study, **known)

    def give_result(self, request: Request) -> Response:
        """Report, results, tables, checklists or model of a study."""
        study, file = self._find_study(request), request.path_params["file"]
        if study is None or file not in PUBLISHED or not (study.run / PUBLISHED[file]).exists():
            return _absent()
        path, name = study.run / PUBLISHED[file], f"{study.name}-{file}"
        visitor = get_visitor(request)
        with log_action(self.home, Actor(visitor.name, f"console, {visitor.by}"), "download", study.name, file):
            if path.is_dir():
                head = {"content-disposition": f'attachment; filename="{name}"'}
                return StreamingResponse(stream_zip(path), media_type="application/zip", headers=head)
            return _attach(path, name)

    def give_kit(self, request: Request) -> Response:
        """The newest kit of a site."""
        name = request.path_params["name"]
        path = self.home.kit(name)
        return _attach(path, path.name) if NAME.fullmatch(name) and path.exists() else _absent()

    def give_roster(self, _: Request) -> Response:
        """The roster."""
        return _attach(self.home.roster, self.home.roster.name) if self.home.roster.exists() else _absent()

    def give_bundle(self, request: Request) -> Response:
        """What the sites approve."""
        study = self._find_study(request)
        return _attach(study.bundle, study.bundle.name) if study and study.bundle.exists() else _absent()

    def _find_study(self, request: Request) -> StudyFolder | None:
        return choose_study(list_by_urgency(self.home), request.query_params.get("study"))

    def _give(
        self, answer: Callable[[Request], Response], roles: Collection[str] = ("coordinator",)
    ) -> Callable[[Request], Response]:
        def endpoint(request: Request) -> Response:
            role = get_visitor(request).role
            if role not in roles:
                return PlainTextResponse(f"this file is not for the role {role}", 403)
            return answer(request)

        return endpoint


def list_published(study: StudyFolder) -> list[tuple[str, float]]:
    """Name of each download that is there, and when it was made, in seconds since 1970."""
    found = ((name, study.run / place) for name, place in PUBLISHED.items())
    return [(name, path.stat().st_mtime) for name, path in found if path.exists()]


def stream_zip(folder: Path) -> Iterator[bytes]:
    """A folder as a zip file, piece by piece: no second copy lies on the disk or in memory."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            for _ in _add_file(archive, path, f"{folder.name}/{path.relative_to(folder)}"):
                yield sink.take()
    yield sink.take()


def _add_file(archive: zipfile.ZipFile, path: Path, name: str) -> Iterator[None]:
    """Pauses after each piece."""
    about = zipfile.ZipInfo.from_file(path, name)
    with path.open("rb") as file, archive.open(about, "w", force_zip64=True) as entry:
        while piece := file.read(_PIECE):
            entry.write(piece)
            yield


class _Sink(io.RawIOBase):
    """What was written since it was last taken; it cannot be rewound, and the archive knows."""

    def __init__(self) -> None:
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, piece: object) -> int:
        self._written += memoryview(piece)  # type: ignore[arg-type]
        return memoryview(piece).nbytes  # type: ignore[arg-type]

    def take(self) -> bytes:
        taken = bytes(self._written)
        self._written.clear()
        return taken


def _attach(path: Path, name: str) -> Response:
    return FileResponse(path, filename=name, media_type="application/octet-stream")


def _absent() -> Response:
    return PlainTextResponse("there is no such file, or not yet", 404)
