"""The worklist of outlining: lesions by what is to be done, exams that the table lacks, and the index that follows."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from client.console.forms import Form, Show, take_form
from client.console.outlining.cases import list_other_faults
from client.console.outlining.drawing import Drawing
from client.console.outlining.indexing import find_need
from client.console.outlining.worklist import STATES
from client.console.session import Session
from client.data.scan.drafted_rows import list_drafted_rows

WORKLIST = "/outlining"
_AGAIN_S = 10


@dataclass
class WorklistPage:
    """show: makes a page of outlining."""

    session: Session
    show: Show
    drawing: Drawing

    def routes(self) -> list[Route]:
        """The page, and a path for each of its buttons."""
        works = {"reader": self._sign, "add": self._add, "index": self._index}
        return [
            Route(WORKLIST, self.worklist, methods=["GET"]),
            *(
                Route(f"{WORKLIST}/{name}", take_form(self.session, self.show, work), methods=["POST"])
                for name, work in works.items()
            ),
        ]

    def worklist(self, request: Request) -> Response:
        """All lesions, by what is to be done."""
        drawing, site = self.drawing, self.drawing.site
        items = drawing.worklist.list_items()
        cases = [item.case for item in items]
        looked = drawing.worklist.count_looked_at(items)
        groups = [(name, title, [one for one in items if one.state == name]) for name, title in STATES.items()]
        waits = drawing.indexing.is_running() or looked < len(items)
        return self.show(
            "worklist",
            "Outlining",
            groups=groups,
            looked=looked,
            count=len(items),
            other_faults=list_other_faults(site, cases) if site.table.exists() else (),
            drafted=list_drafted_rows(site),
            table=site.table.name,
            indexing=drawing.indexing,
            need=find_need(site, cases) if items else "",
            reader=drawing.reader,
            again=_AGAIN_S if waits and drawing.reader else 0,
        )

    def _sign(self, form: Form) -> Response:
        """The reader's name, once a session."""
        self.drawing.sign(form.get("reader", ""))
        return RedirectResponse(WORKLIST, 303)

    def _add(self, form: Form) -> Response:
        """An exam that the table lacks becomes its last row."""
        self.drawing.add_exam(form.get("clips", ""))
        return RedirectResponse(WORKLIST, 303)

    def _index(self, form: Form) -> Response:
        """Samples are made anew, in the background."""
        self.drawing.indexing.start(self.drawing.site)
        return RedirectResponse(WORKLIST, 303)
