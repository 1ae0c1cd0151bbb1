"""Two studies in one federation of four sites, side by side and one after the other: the numbers of each alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.faults import SEED, tiny_federation, tiny_plan
from ceus_models.plan.plan import load_plan
from tests.support.made_sites import digests_in_memory, digests_of_run
from tests.support.real_federation import NGINX, Federation, wait

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(NGINX is None, reason="needs nginx (Debian: nginx-light)"),
]
PATIENCE_S = 600.0
FIRST, SECOND = "first", "second"
SEEDS = {FIRST: SEED, SECOND: SEED + 1}


def named_plan(path: Path, name: str, rounds: int) -> Path:
    plan = yaml.safe_load(tiny_plan(path, rounds).read_text())
    path.write_text(yaml.safe_dump(plan | {"name": name}))
    return path


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    scratch = tmp_path_factory.mktemp("plans")
    return {FIRST: named_plan(scratch / "first.yaml", FIRST, 14), SECOND: named_plan(scratch / "b.yaml", SECOND, 4)}


@pytest.fixture(scope="module")
def federation(plans: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    """Everything runs, and the sites have approved the first study."""
    with tiny_federation(tmp_path_factory.mktemp("two"), plans[FIRST], (1, 2, 3, 4)) as made:
        yield made


@pytest.fixture(scope="module")
def alone(plans: dict[str, Path], federation: Federation, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The nets of each study, as it gives them without the other."""
    scratch = tmp_path_factory.mktemp("memory")
    loaded = {name: load_plan(plan) for name, plan in plans.items()}
    return {n: digests_in_memory(plan, federation.sites, SEEDS[n], scratch / n) for n, plan in loaded.items()}


def begun(federation: Federation, study: str) -> list[dict[str, Any]]:
    return [e for e in federation.told(study) if e["event"] == "Started" and e["kind"] == "train"]


def add(federation: Federation, plan: Path, study: str) -> None:
    federation.call("ceus-coordinator", "study", "add", federation.study, plan, "--seed", SEEDS[study])
    for site in federation.sites:
        federation.approve(site, study)


def check_numbers(federation: Federation, plans: dict[str, Path], alone: dict[str, Any]) -> None:
    for name, plan in plans.items():
        found = digests_of_run(load_plan(plan), federation.of_study(name) / "run", SEEDS[name])
        assert found == alone[name], name
        (counted,) = {len(e["record"]["counted"]) for e in federation.told(name) if e["event"] == "Finished"}
        assert counted == 4


def test_one_is_added_changed_stopped_and_resumed_while_the_other_trains(
    federation: Federation, plans: dict[str, Path], alone: dict[str, Any], tmp_path: Path
) -> None:
    federation.order(FIRST)
    wait(lambda: len(begun(federation, FIRST)) >= 2, PATIENCE_S, "the second round of the first study")
    add(federation, named_plan(tmp_path / "early.yaml", SECOND, 2), SECOND)
    early = (federation.of_study(SECOND) / "bundle.fab").read_bytes()
    add(federation, plans[SECOND], SECOND)
    assert (federation.of_study(SECOND) / "bundle.fab").read_bytes() != early
    federation.order(SECOND)
    wait(lambda: len(begun(federation, SECOND)) >= 1, PATIENCE_S, "the first round of the second study")
    federation.call("ceus-coordinator", "stop", federation.study, "--study", SECOND)
    assert federation.state(SECOND)["phase"] == "stopped"
    assert federation.state(FIRST)["phase"] == "running", "side by side, and not stopped with the other"
    federation.order(SECOND)
    assert [federation.wait_over(PATIENCE_S, name) for name in plans] == ["done", "done"]
    assert federation.state(FIRST)["launches"] == 1
    check_numbers(federation, plans, alone)


def test_audits_facts_and_logs_keep_them_apart(federation: Federation, plans: dict[str, Path]) -> None:
    digests = {name: load_plan(plan).digest() for name, plan in plans.items()}
    logs = {name: (federation.of_study(name) / "run" / "mirror.jsonl").read_text() for name in plans}
    lines = {name: [json.loads(line) for line in log.splitlines()] for name, log in logs.items()}
    for name, log in lines.items():
        assert {line["study"] for line in log} == {digests[name]}
        assert not [line for line in log if line.get("alarm") or line.get("fault")], "the audit's jumps are no alarm"
    for site, folder in federation.sites.items():
        federation.call("ceus-site", "audit", folder, "verify")
        audit = [json.loads(line) for line in (folder / "records" / "audit.jsonl").read_text().splitlines()]
        answered = {(e["task"], e["digest"]) for e in audit if e["kind"] == "answer"}
        came = {
            name: {(e["task"], e["digest"]) for e in log if (e["site"], e["event"]) == (site, "came")}
            for name, log in lines.items()
        }
        assert answered == came[FIRST] | came[SECOND]
        assert not came[FIRST] & came[SECOND]
        facts = {path.stem for path in (folder / "records").glob("study-*.jsonl")}
        assert facts == {f"study-{digest[:16]}" for digest in digests.values()}, "nothing of the plan that never ran"
    document = federation.status()
    assert [one["study"] for one in document["studies"]] == [FIRST, SECOND]
    assert not [site for one in document["studies"] for site in one["sites"] if site["look_at"]]


def test_one_after_the_other_gives_the_same(
    federation: Federation, plans: dict[str, Path], alone: dict[str, Any]
) -> None:
    for name in plans:
        federation.call("ceus-coordinator", "study", "remove", federation.study, name, "--yes")
    for name, plan in plans.items():
        add(federation, plan, name)
    federation.order(FIRST)
    federation.order(SECOND, "--after", FIRST)
    wait(lambda: federation.state(SECOND)["phase"] == "waiting", PATIENCE_S, "the second study waits")
    assert federation.state(SECOND)["cause"].startswith(f"after {FIRST}, which is ")
    assert [federation.wait_over(PATIENCE_S, name) for name in plans] == ["done", "done"]
    check_numbers(federation, plans, alone)
    ends = [e["at"] for e in federation.told(FIRST) if e["event"] == "Finished"]
    starts = [e["at"] for e in federation.told(SECOND) if e["event"] == "Started"]
    assert max(ends) < min(starts)
