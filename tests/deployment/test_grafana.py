"""The dashboard: each gauge that it asks for is one that the console exports, and none is left out."""

from __future__ import annotations

import json
import re
from itertools import combinations
from typing import Any

from deployment_files import DOCKER, ROOT

from server.federation.expiry import Validity
from server.operations.overview import Overview, SiteStatus
from server.operations.prometheus import HELP, render_metrics
from server.operations.snapshot import Snapshot
from server.run_folder.orders import State

BOARD: dict[str, Any] = json.loads((DOCKER / "grafana" / "fedceus.json").read_text(encoding="utf-8"))
ASKED = [target["expr"] for panel in BOARD["panels"] for target in panel["targets"]]


def test_it_asks_for_every_gauge_that_there_is_and_no_other() -> None:
    named = {name for expr in ASKED for name in re.findall(r"\bceus_\w+", expr)}
    assert named == set(HELP)


def test_every_question_is_of_the_chosen_job_and_source() -> None:
    assert all('job="$job"' in expr for expr in ASKED)
    assert {panel["datasource"]["uid"] for panel in BOARD["panels"]} == {"${datasource}"}
    assert {variable["name"] for variable in BOARD["templating"]["list"]} == {"datasource", "job", "study"}


def test_a_gauge_of_a_study_is_asked_for_one_study() -> None:
    seen = Snapshot(
        Validity("x", (), ()), True, {"a": Overview(True, State(), {}, {"s": SiteStatus(True, rounds={"lost": 1})}, ())}
    )
    of_study = {line.partition("{")[0] for line in render_metrics(seen).splitlines() if 'study="a"' in line}
    of_study |= {"ceus_loss", "ceus_round_seconds", "ceus_round_missing"}  # as soon as there is a round
    for expr in ASKED:
        (name,) = re.findall(r"\bceus_\w+", expr)
        assert ('study="$study"' in expr) == (name in of_study)


def test_panels_lie_beside_each_other() -> None:
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    for one, other in combinations([panel["gridPos"] for panel in BOARD["panels"]], 2):
        apart = any(a[s] + a[t] <= b[s] for a, b in ((one, other), (other, one)) for s, t in (("x", "w"), ("y", "h")))
        assert apart, (one, other)
    assert all(p["gridPos"]["x"] + p["gridPos"]["w"] <= 24 for p in BOARD["panels"])


def test_the_pages_say_where_it_is() -> None:
    assert "docker/grafana/fedceus.json" in (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
