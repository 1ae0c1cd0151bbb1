"""The faults of a hospital's folder as one page of HTML: no script, no network, readable and printable as it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

from ceus_models.runtime.errors import ExpectedError, Fault
from client.data.dataset.check import CheckReport
from client.faults.catalogue import REASONS

_SHOWN = 20
"""A reason with more faults is folded at first."""
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --bad: #b3261e; --good: #2e7d32; }
@media (prefers-color-scheme: dark) { :root { --bad: #ff8a80; --good: #81c784; } }
body { font: 15px/1.45 system-ui, "Noto Sans", "Noto Sans CJK SC", sans-serif; margin: 2rem auto; max-width: 72rem;
  padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .3rem; }
h2 { font-size: 1.05rem; margin: 0; display: inline; }
p { margin: .3rem 0; max-width: 50rem; }
.figures { display: flex; flex-wrap: wrap; gap: 1rem; margin: 1.2rem 0; }
.figure { border: 1px solid var(--line); border-radius: .4rem; padding: .5rem 1rem; }
.figure b { display: block; font-size: 1.5rem; }
.bad { color: var(--bad); } .good { color: var(--good); }
details { border: 1px solid var(--line); border-radius: .4rem; margin: .7rem 0; padding: .6rem .9rem; }
summary { cursor: pointer; }
summary .count { float: right; font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; margin: .7rem 0 .2rem; table-layout: fixed; width: 100%; }
th:nth-child(1) { width: 12%; } th:nth-child(2) { width: 6%; } th:nth-child(3) { width: 14%; }
th:nth-child(4) { width: 23%; } th:nth-child(5) { width: 19%; }
th, td { border-top: 1px solid var(--line); padding: .3rem .6rem .3rem 0; text-align: left; vertical-align: top; }
td { overflow-wrap: anywhere; }
th { font-weight: 600; } .place { font-variant-numeric: tabular-nums; }
code { background: var(--soft); border-radius: .2rem; padding: 0 .25em; }
"""


def write_page(path: Path, report: CheckReport) -> None:
    """Writes the page. Raises ExpectedError where it cannot be written."""
    try:
        path.write_text(page_of(report), encoding="utf-8")
    except OSError as error:
        raise ExpectedError(f"the page cannot be written ({error.strerror}); name a file in a folder") from None


def page_of(report: CheckReport) -> str:
    """The whole page. It holds what faults hold: no id, no name, no date, no path of a clip."""
    state = '<p class="good">Nothing to mend.</p>' if not report.faults else _told(report)
    return f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>ceus-site check</title><style>{_STYLE}</style></head>
<body>
<h1>ceus-site check</h1>
<p>What stands in the way of the lesions of this folder. Rows are those of the file, its header is row 1. Values that
could identify a patient are not on this page.</p>
<div class="figures">
{_figure("usable lesions", report.usable, "good" if report.usable else "bad")}
{_figure("faults", len(report.faults), "bad" if report.faults else "good")}
{_figure("usable diagnoses", report.reads, "")}
</div>
{_counts("Usable lesions by cohort", report.cohorts)}
{_counts("Usable lesions by type", report.types)}
{state}
</body>
</html>
"""


def _told(report: CheckReport) -> str:
    by_reason: dict[str, list[Fault]] = {reason: [] for reason in report.reasons}
    for fault in report.faults:
        by_reason[fault.reason].append(fault)
    return "\n".join(_section(reason, faults) for reason, faults in by_reason.items())


def _section(slug: str, faults: Sequence[Fault]) -> str:
    reason = REASONS.get(slug)
    told = f"<p>{escape(reason.meaning)} <b>{escape(reason.remedy)}</b></p>" if reason else ""
    head = "<tr><th>file</th><th>row</th><th>column</th><th>rule</th><th>found</th><th>remedy</th></tr>"
    opened = " open" if len(faults) <= _SHOWN else ""
    return f"""<details{opened}>
<summary><h2><code>{escape(slug)}</code></h2> <span class="count">{len(faults)}</span></summary>
{told}
<table><thead>{head}</thead><tbody>
{"".join(map(_row, faults))}
</tbody></table>
</details>"""


def _row(fault: Fault) -> str:
    row = "" if fault.row is None else str(fault.row)
    places = "".join(f'<td class="place">{escape(text)}</td>' for text in (fault.file, row, fault.column))
    return f"<tr>{places}{_cells((fault.rule, fault.value, fault.remedy))}</tr>\n"


def _cells(texts: Iterable[str]) -> str:
    return "".join(f"<td>{escape(text)}</td>" for text in texts)


def _figure(name: str, count: int, kind: str) -> str:
    return f'<div class="figure"><b class="{kind}">{count}</b>{escape(name)}</div>'


def _counts(title: str, counts: Mapping[str, int]) -> str:
    if not counts:
        return ""
    told = " · ".join(f"{escape(name)} {count}" for name, count in counts.items())
    return f"<p>{escape(title)}: {told}</p>"
