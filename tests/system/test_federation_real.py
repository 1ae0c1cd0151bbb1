"""The whole federation by its documented commands: TLS, node keys, nginx, four sites; the numbers of the memory run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import many_sites
from benchmarks.faults import (
    FAULTS,
    LONGEST_S,
    ROUNDS,
    SEED,
    SITES,
    STUCK_S,
    disturbed,
    shown,
    small_plan,
    tiny_federation,
    tiny_plan,
)
from ceus_models.plan.plan import load_plan
from ceus_models.runtime.process_tree import ProcessGroup
from tests.support.made_sites import digests_in_memory, digests_of_run
from tests.support.real_federation import NGINX, Federation, command

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(NGINX is None, reason="needs nginx (Debian: nginx-light)"),
]


@pytest.fixture(scope="module")
def in_memory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run in memory, with its hospitals."""
    out = tmp_path_factory.mktemp("memory")
    plan = small_plan(out / "plan.yaml")
    command("ceus-sim", "run", plan, "--out", out / "run", "--seed", SEED, "--workers", 2)
    return out


@pytest.fixture(scope="module")
def federation(in_memory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    """Four sites, enrolled and approved; nothing runs yet."""
    scratch = tmp_path_factory.mktemp("real")
    hospitals = sorted((in_memory / "run" / "hospitals").iterdir())
    for hospital in hospitals:
        shutil.copytree(hospital, scratch / hospital.name, ignore=shutil.ignore_patterns("memory"))
    with ProcessGroup(scratch / "logs") as fleet:
        made = Federation(scratch / "study", {h.name: scratch / h.name for h in hospitals}, fleet)
        identity = made.found(in_memory / "plan.yaml", SEED)
        for name, folder in made.sites.items():
            command("ceus-site", "index", folder, "--plan", in_memory / "plan.yaml")
            made.enrol(name, identity)
        yield made


def digests(folder: Path) -> Any:
    return json.loads((folder / "results.json").read_text())["digests"]


def test_four_sites_run_the_smoke_plan_to_the_numbers_of_the_run_in_memory(
    federation: Federation, in_memory: Path
) -> None:
    federation.up()
    federation.open_front()
    federation.serve_all()
    said = command("ceus-coordinator", "run", federation.study)
    assert "done; report:" in said
    assert digests(federation.of_study() / "run") == digests(in_memory / "run")
    found = federation.status()
    assert found["run"]["phase"] == "done"
    assert {site["name"]: site["connected"] for site in found["sites"]} == dict.fromkeys(federation.sites, True)
    assert all(site["sent"]["all"] > 0 and site["received"]["all"] > 0 for site in found["sites"])
    assert all(record["counted"] and not record["lost"] for record in found["run"]["rounds"])
    print({site["name"]: (site["sent"]["all"], site["received"]["all"]) for site in found["sites"]})


def test_what_a_site_audited_is_what_the_coordinators_mirror_says(federation: Federation) -> None:
    lines = (federation.of_study() / "run" / "mirror.jsonl").read_text().splitlines()
    mirror = {(e["site"], e["event"], e["task"], e["digest"]) for e in map(json.loads, lines)}
    for name, folder in federation.sites.items():
        audit = [json.loads(line) for line in (folder / "records" / "audit.jsonl").read_text().splitlines()]
        answers = [(name, "came", e["task"], e["digest"]) for e in audit if e["kind"] == "answer"]
        asked = [(name, "sent", e["task"], e["digest"]) for e in audit if e["kind"] == "task"]
        assert answers
        assert set(answers) | set(asked) <= mirror


def test_whatever_is_killed_the_numbers_stay_the_same(tmp_path: Path) -> None:
    """SuperLink, ServerApp, SuperExec, `up`, front door, worker, runner, node, a whole site: one after the other."""
    plan = tiny_plan(tmp_path / "plan.yaml", ROUNDS)
    with tiny_federation(tmp_path, plan, SITES) as federation:
        costs = []
        for cost in disturbed(federation):
            print(*shown(cost), sep=" | ", flush=True)
            costs.append(cost)
        assert federation.wait_over(LONGEST_S) == "done", federation.state()
    loaded = load_plan(plan)
    memory = digests_in_memory(loaded, federation.sites, SEED, tmp_path / "memory")
    assert digests_of_run(loaded, federation.of_study() / "run", SEED) == memory
    assert [cost.name for cost in costs] == [fault.name for fault in FAULTS]
    assert all(cost.rounds <= 1 for cost in costs), "at most the round in flight is repeated"
    assert all(cost.detected is not None and cost.detected < STUCK_S for cost in costs)


def test_twelve_sites_walk_the_smoke_plan_to_the_numbers_of_the_run_in_memory(tmp_path: Path) -> None:
    found = many_sites.walk(tmp_path, many_sites.CENTERS)
    print(many_sites.row(found))
    assert (found.sites, found.same, found.counted) == (12, True, True)
