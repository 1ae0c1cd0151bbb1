"""Studies come, change and go: each has its bundle, none is lost, and the sites can tell them apart."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_federation import DAY, FEDERATION, NOW, PLAN, Lab, lab

from ceus_models.plan.plan import load_plan
from ceus_models.plan.progress import Progress
from ceus_models.runtime.errors import ExpectedError, FaultList
from server.federation.federation_file import load_federation
from server.federation.founding import set_up_federation
from server.federation.studies import add_study, ensure_first_study, remove_study
from server.rounds.saving.checkpoints import Store
from server.run_folder.journal import Journal
from server.run_folder.orders import order_run
from server.run_folder.paths import StudyFolder
from server.run_folder.studies import list_studies, read_settings


@pytest.fixture
def made(tmp_path: Path) -> Lab:
    return lab(tmp_path / "co")


def second_plan(folder: Path, share: str = "1.0", name: str = "second") -> Path:
    path = folder / "second.yaml"
    path.write_text(PLAN.replace("tiny", name).replace("share: 1.0", f"share: {share}"))
    return path


def add(made: Lab, plan: Path, name: str | None = None, seed: int | None = None) -> StudyFolder:
    """As the command does it: the bundle is made by `init`."""
    study, _ = add_study(made.home, plan, name, seed, NOW)
    set_up_federation(made.home.folder, None, NOW)
    return study


def test_a_second_study_has_its_own_plan_seed_and_bundle(made: Lab, tmp_path: Path) -> None:
    first = made.study.bundle.read_bytes()
    plan = second_plan(tmp_path)
    study = add(made, plan, seed=7)
    assert [one.name for one in list_studies(made.home)] == ["second", "tiny"]
    plan.unlink()
    assert load_plan(study.plan).digest().encode() in study.bundle.read_bytes()
    assert read_settings(study).seed == 7
    assert StudyFolder(made.home, "tiny").bundle.read_bytes() == first


def test_the_same_plan_is_refused_under_any_name(made: Lab, tmp_path: Path) -> None:
    with pytest.raises(ExpectedError, match="tiny has the same one .* could not tell the two apart"):
        add_study(made.home, made.home.folder / "plan.yaml", "other", None, NOW)
    add(made, second_plan(tmp_path), "another")
    with pytest.raises(ExpectedError, match="another has the same one"):
        add_study(made.home, second_plan(tmp_path), None, None, NOW)
    (made.home.folder / "plan.yaml").write_text(second_plan(tmp_path).read_text())
    with pytest.raises(ExpectedError, match="another has the same one"):
        set_up_federation(made.home.folder, None, NOW)


def test_a_changed_plan_gives_a_new_bundle_and_puts_the_rounds_aside(made: Lab, tmp_path: Path) -> None:
    study = add(made, second_plan(tmp_path), seed=7)
    before = study.bundle.read_bytes()
    _, steps = add_study(made.home, second_plan(tmp_path), None, None, NOW)
    assert steps == ("kept the plan of second",)
    Store(study.run).save(Progress(), load_plan(study.plan).digest(), 7)
    _, steps = add_study(made.home, second_plan(tmp_path, "0.9"), None, None, NOW)
    assert not study.run.exists()
    (aside,) = made.home.removed.iterdir()
    assert Store(aside).newest() == 1
    assert str(aside) in steps[1]
    told = "\n".join(set_up_federation(made.home.folder, None, NOW).told)
    assert "made the bundle of second" in told
    assert "every site must approve this one" in told
    assert study.bundle.read_bytes() != before
    assert read_settings(study).seed == 7, "unless another is given"


def test_a_study_under_way_is_neither_changed_nor_removed(made: Lab, tmp_path: Path) -> None:
    study = add(made, second_plan(tmp_path))
    with Journal(study.run).hold(), pytest.raises(ExpectedError, match="its run is under way"):
        remove_study(study, NOW)
    order_run(study)
    for change in (
        lambda: add_study(made.home, second_plan(tmp_path, "0.9"), None, None, NOW),
        lambda: remove_study(study, NOW),
    ):
        with pytest.raises(ExpectedError, match=r"under way; `ceus-coordinator stop .* --study second` ends it"):
            change()
    assert load_plan(study.plan).digest() == load_plan(second_plan(tmp_path)).digest()


def test_the_plan_beside_federation_yaml_is_changed_there(made: Lab, tmp_path: Path) -> None:
    with pytest.raises(ExpectedError, match=r"the plan of tiny is .*plan.yaml; change it there"):
        add_study(made.home, second_plan(tmp_path, "0.9"), "tiny", None, NOW)
    (made.home.folder / "plan.yaml").write_text(PLAN.replace("tiny", "renamed"))
    told = "\n".join(set_up_federation(made.home.folder, None, NOW).told)
    assert "made the bundle of tiny" in told, "the study's folder keeps its name"
    made.home.federation.write_text(FEDERATION + "seed: 9\n")
    set_up_federation(made.home.folder, None, NOW)
    assert read_settings(made.study).seed == 9


def test_a_plan_beside_federation_yaml_that_takes_another_studys_name_is_refused(made: Lab, tmp_path: Path) -> None:
    add(made, second_plan(tmp_path))
    remove_study(StudyFolder(made.home, "tiny"), NOW)
    (made.home.folder / "plan.yaml").write_text(PLAN.replace("tiny", "second").replace("1.0", "0.8"))
    plan = load_plan(made.home.folder / "plan.yaml")
    with pytest.raises(ExpectedError, match="there is another study of that name"):
        ensure_first_study(made.home, load_federation(made.home.federation), plan)


@pytest.mark.parametrize("name", ["", "-a", "a/b", "..", "a" * 64, "ä"])
def test_a_name_that_is_no_folder_of_ours_is_refused(made: Lab, tmp_path: Path, name: str) -> None:
    with pytest.raises(ExpectedError, match="1 to 63 letters, digits and hyphens"):
        add_study(made.home, second_plan(tmp_path), name, None, NOW)


def test_the_name_of_a_plan_becomes_that_of_a_folder(made: Lab, tmp_path: Path) -> None:
    assert add(made, second_plan(tmp_path, name="Liver (2nd), 2026")).name == "Liver-2nd-2026"


def test_what_is_removed_is_kept_aside_and_does_not_come_back(made: Lab, tmp_path: Path) -> None:
    add(made, second_plan(tmp_path))
    first = StudyFolder(made.home, "tiny")
    bundle, plan = first.bundle.read_bytes(), (made.home.folder / "plan.yaml").read_bytes()
    aside = remove_study(first, NOW)
    assert (aside.parent, aside / "study.yaml") == (made.home.removed, next(aside.glob("study.yaml")))
    assert ((aside / "bundle.fab").read_bytes(), (aside / "plan.yaml").read_bytes()) == (bundle, plan)
    set_up_federation(made.home.folder, None, NOW)
    assert [one.name for one in list_studies(made.home)] == ["second"]
    (made.home.folder / "plan.yaml").write_bytes(plan)
    set_up_federation(made.home.folder, None, NOW + DAY)
    assert StudyFolder(made.home, "tiny").bundle.read_bytes() == bundle


def test_faults_of_all_plans_come_together(made: Lab, tmp_path: Path) -> None:
    study = add(made, second_plan(tmp_path))
    study.plan.write_text(study.plan.read_text().replace("quorum", "quorm"))
    (made.home.folder / "plan.yaml").write_text(PLAN.replace("stages", "stagse"))
    with pytest.raises(FaultList, match=r"(?s)(stagse.*quorm|quorm.*stagse)"):
        set_up_federation(made.home.folder, None, NOW)
