"""A plan in words: each stage's sentence, the whole's costs, hours as measured, and a terminal of 80 columns."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.cells import cell_len

from ceus_models.plan.plan import load_plan
from ceus_models.plan.words.outline import PlanOutline, parse_values, read_outline
from ceus_models.plan.words.plan_lines import format_plan
from ceus_models.plan.words.plan_text import PlanText, StageText, describe_plan
from ceus_models.plan.words.privacy_cost import compute_costs
from ceus_models.runtime.language.reader_language import Language, speaking

CONFIGS = Path(__file__).parents[4] / "configs"
PLANS = sorted(CONFIGS.glob("plan.*.yaml"))


def outline(name: str) -> PlanOutline:
    return read_outline(parse_values(load_plan(CONFIGS / f"plan.{name}.yaml").canonical()))


def find_line(text: PlanText, stage: str, what: str) -> str:
    return next(dict(one.lines)[what] for one in text.stages if one.title.startswith(f"{stage}:"))


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_every_stage_says_what_leaves_and_all_fits_80_columns(path: Path) -> None:
    plan = load_plan(path)
    text = describe_plan(read_outline(plan.plain()), {})
    assert [one.title.partition(":")[0] for one in text.stages] == [stage.name for stage in plan.stages]
    for stage in text.stages:
        assert {"leaves", "privacy", "lesions of", "sites"} <= {what for what, _ in stage.lines}
    assert max(len(line) for line in format_plan(text)) <= 80


def test_approval_says_which_lesions_are_taken() -> None:
    plan = load_plan(CONFIGS / "plan.paper.yaml").plain()
    ours = dict(describe_plan(read_outline(plan)).lines)["lesions"]
    assert "above 1 cm" in ours
    assert "at least 18 years" in ours
    assert "by pathology where malignant" in ours
    plan["processing"] = {**plan["processing"], "inclusion": {"youngest": 16, "reference_standard": False}}
    other = dict(describe_plan(read_outline(plan)).lines)["lesions"]
    assert "at least 16 years" in other
    assert "pathology" not in other


def test_what_leaves_depends_on_the_stage() -> None:
    paper, private = describe_plan(outline("paper")), describe_plan(outline("private"))
    assert find_line(paper, "hello", "leaves").startswith("how many lesions and patients each cohort has")
    assert "how training here changes each net" in find_line(paper, "submodels", "leaves")
    assert "in rounds of validation counts by score" in find_line(paper, "submodels", "leaves")
    assert "no lesion by itself" in find_line(paper, "test", "leaves")
    assert find_line(private, "submodels", "leaves") == "one noised sum of the patients' gradients a net and round"
    assert find_line(private, "submodels", "privacy").startswith("distributed: sums over hospitals, with noise")


def test_a_falling_rate_is_said() -> None:
    plan = outline("paper")
    stages = tuple(one.model_copy(update={"schedule": "cosine"}) for one in plan.stages if one.name == "fusion")
    rule = find_line(describe_plan(plan.model_copy(update={"stages": stages})), "fusion", "rule")
    assert "learning rate 0.05, which falls to 0 along a half cosine, momentum" in rule
    assert "falls" not in find_line(describe_plan(plan), "fusion", "rule")


def test_row_level_replicates_are_shouted() -> None:
    plan = outline("paper")
    stages = tuple(
        one.model_copy(update={"paired_replicates": 9}) if one.name == "test" else one for one in plan.stages
    )
    assert "9 REPLICATES" in find_line(describe_plan(plan.model_copy(update={"stages": stages})), "test", "leaves")


def test_privacy_is_said_as_it_is_accounted() -> None:
    costs = {cost.cohort: cost for cost in compute_costs(load_plan(CONFIGS / "plan.private.yaml"))}
    spent = dict(describe_plan(outline("private")).lines)["privacy spent"]
    for cohort, cost in costs.items():
        assert f"a patient of {cohort} ε {cost.total:.2f} at δ 1e-05, {cost.honest:.2f} if 2" in spent
    assert "no noise hides a patient in test" in spent


def test_hours_are_those_that_were_measured_and_the_rest_is_unknown() -> None:
    plan = outline("smoke")
    assert "hours" not in dict(describe_plan(plan).lines)
    assert dict(describe_plan(plan, {}).lines)["hours"].startswith("unknown: no such task")
    took = {("submodels", "train"): 1800.0, ("submodels", "evaluate"): 600.0}
    some = dict(describe_plan(plan, took).lines)["hours"]
    assert some.startswith("about 80 min of this machine")
    assert "unknown for statistics, strategy_a, fusion, modules, test until first asked" in some
    for stage in plan.stages:
        took |= {(stage.name, stage.question): 3600.0, (stage.name, "evaluate"): 3600.0}
    assert "as such tasks took here before" in dict(describe_plan(plan, took).lines)["hours"]


def test_too_few_sites_are_a_shortage() -> None:
    plan = outline("smoke")
    assert "a round counts with the sums of 2 sites, 3 are usual" in describe_plan(plan).shortage
    assert describe_plan(outline("paper")).shortage == ""


def test_a_plan_in_chinese_keeps_the_width_of_a_terminal() -> None:
    text = PlanText("liver", (("asks", "a " * 60), ("sites", "b")), (StageText("hello: introduction", ()),), "")
    said = {"asks": "要求", "a " * 60: "送到本站点的字节数" * 9}
    with speaking(Language("zh-CN", lambda found: said.get(found, found))):
        lines = list(format_plan(text))
    assert max(map(cell_len, lines)) <= 80
    assert {cell_len(line) - cell_len(line.lstrip()) for line in lines[2:4]} == {20}
    assert "".join(line.strip() for line in lines[1:4]).replace("要求", "").replace(" ", "").startswith("送到本站点")
