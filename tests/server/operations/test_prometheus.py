"""The status in the text format of Prometheus: lines well formed, families described once, values of the status."""

from __future__ import annotations

import re

from server.federation.expiry import Line, Validity
from server.operations.overview import Overview, SiteStatus
from server.operations.prometheus import render_metrics
from server.operations.snapshot import Snapshot
from server.run_folder.orders import State

LINE = re.compile(r'^([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\\n]|\\.)*",?)*)\})? (-?[0-9.e+]+)$')
ROUND = {"stage": "one", "kind": "train", "seconds": 7.5, "refused": {}, "excluded": {}, "lost": {}, "curves": {}}
SITES = {
    "site-01": SiteStatus(
        True, True, 9, rounds={"counted": 3}, sent={"round": 1, "all": 10}, received={"round": 2, "all": 7}
    ),
    'odd "name"\\': SiteStatus(None, look_at="3 rounds in a row", late=2),
}
SEEN = Overview(
    up=True,
    state=State(order="x", phase="running", at=5.0),
    round={},
    sites=SITES,
    rounds=({**ROUND, "curves": {"disease/HCC": 0.25}}, {**ROUND, "kind": "evaluate", "lost": {"site-01": "hung"}}),
)
VALID = Validity(
    "lab:ab",
    (Line("front door", "ok", "", "", 300, ""), Line("SuperLink", "absent", "", "", None, "")),
    (Line("site-01", "soon", "", "", 12, "renew"),),
)


def read(text: str) -> dict[tuple[str, str], float]:
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            match = LINE.match(line)
            assert match, line
            found[match[1], match[2] or ""] = float(match[3])
    return found


def test_values_are_the_status() -> None:
    found = read(render_metrics(Snapshot(VALID, True, {"one": SEEN})))
    assert found["ceus_up", ""] == 1
    assert found["ceus_run", 'study="one",phase="running"'] == 1
    assert found["ceus_rounds_total", 'study="one"'] == 2
    assert (found["ceus_round_seconds", 'study="one"'], found["ceus_round_missing", 'study="one"']) == (7.5, 1)
    assert found["ceus_loss", 'study="one",stage="one",kind="train",net="disease/HCC"'] == 0.25
    assert found["ceus_certificate_days", 'name="front door"'] == 300
    assert found["ceus_site_certificate_days", 'site="site-01"'] == 12
    assert found["ceus_site_connected", 'site="site-01"'] == 1
    assert found["ceus_site_rounds_total", 'study="one",site="site-01",fate="counted"'] == 3
    assert found["ceus_site_bytes_total", 'study="one",site="site-01",way="received"'] == 7
    odd = r'site="odd \"name\"\\"'
    assert found["ceus_site_late_total", f'study="one",{odd}'] == 2
    assert found["ceus_site_look_at", f'study="one",{odd}'] == 1
    assert ("ceus_site_connected", odd) not in found, "nobody could ask"
    assert not any("SuperLink" in labels for _, labels in found)


def test_every_family_is_described_once_and_stands_together() -> None:
    lines = render_metrics(Snapshot(VALID, True, {"one": SEEN})).splitlines()
    families = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(families) == len(set(families))
    order = [re.split(r"[{ ]", line)[0] for line in lines if not line.startswith("#")]
    assert [name for n, name in enumerate(order) if n == 0 or order[n - 1] != name] == families
    assert all(f"# HELP {name} " in "\n".join(lines) for name in families)


def test_a_study_that_has_not_begun() -> None:
    found = read(render_metrics(Snapshot(Validity("x", (), ()), False, {"one": Overview(False, State(), {}, {}, ())})))
    assert found["ceus_up", ""] == 0
    assert found["ceus_run", 'study="one",phase="none"'] == 1
    assert ("ceus_round_seconds", 'study="one"') not in found
