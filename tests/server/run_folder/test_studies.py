"""Which studies there are, and which one is meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from ceus_models.runtime.errors import ExpectedError, FaultList
from server.run_folder.orders import State, order_run, write_state
from server.run_folder.paths import Home, StudyFolder
from server.run_folder.studies import (
    find_home,
    find_plan,
    find_study,
    list_runs,
    list_studies,
    read_settings,
    write_settings,
)


def made(home: Home, *names: str) -> list[StudyFolder]:
    studies = [StudyFolder(home, name) for name in names]
    for study in studies:
        write_settings(study, f"studies/{study.name}/plan.yaml", 5)
    return studies


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_a_folder_without_settings_is_no_study(home: Home) -> None:
    made(home, "b", "a")
    (home.studies / "half").mkdir()
    write_settings(StudyFolder(home, ".moving"), "plan.yaml", 1)
    assert [study.name for study in list_studies(home)] == ["a", "b"]


def test_without_a_name_the_only_one_is_meant_or_the_only_one_under_way(home: Home) -> None:
    with pytest.raises(ExpectedError, match="found none; `ceus-coordinator study add"):
        find_study(home)
    (first,) = made(home, "first")
    assert find_study(home) == first
    (second,) = made(home, "second")
    with pytest.raises(ExpectedError, match="has 2 and 0 are under way; give --study NAME, one of: first, second"):
        find_study(home)
    order = order_run(second)
    assert find_study(home) == second
    order_run(first)
    with pytest.raises(ExpectedError, match="has 2 and 2 are under way"):
        find_study(home)
    write_state(second, State(order=order.id, phase="done"))
    assert find_study(home) == first
    assert find_study(home, "second") == second


def test_a_name_that_is_none_is_told_with_those_that_are(home: Home) -> None:
    made(home, "first", "second")
    with pytest.raises(ExpectedError, match="found 'third'; there are: first, second"):
        find_study(home, "third")


def test_settings_come_back_and_their_faults_come_together(home: Home) -> None:
    (study,) = made(home, "first")
    assert read_settings(study).seed == 5
    assert find_plan(study) == study.plan
    write_settings(study, 'a "plan".yaml', 7)
    assert (read_settings(study).plan, read_settings(study).seed) == ('a "plan".yaml', 7)
    study.settings.write_text("schema: 1\nplna: x\nseed: -1\n")
    with pytest.raises(FaultList, match=r"(?s)plna.*seed"):
        read_settings(study)


def test_a_run_of_a_study_has_a_federation_and_one_of_a_simulation_has_none(home: Home) -> None:
    (study,) = made(home, "first")
    assert find_home(study.run) is None
    home.federation.write_text("schema: 1\n")
    assert find_home(study.run) == home
    assert find_home(home.folder / "elsewhere" / "first" / "run") is None


def test_runs_that_were_put_aside_are_listed_too(home: Home) -> None:
    (study,) = made(home, "first")
    aside = [home.removed / "old-20260101T000000" / "run", home.removed / "first-run-20260101T000000"]
    for folder in aside:
        folder.mkdir(parents=True)
    assert list_runs(home) == [study.run, *aside]
