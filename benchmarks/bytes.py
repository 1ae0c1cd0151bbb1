"""What a hospital sends and gets in a round of the paper's plan, by the form in which nets and changes travel.

    python -m benchmarks.bytes [--out FILE]

Counted are encoded messages of the plans' own tasks and of answers of their form; no net is trained, and the numbers of
bytes depend on no machine. A first round is larger: its weights are float32, and its changes have 16 bits.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from ceus_models.nets.factory import build_on_meta
from ceus_models.nets.two_stream import list_local_names
from ceus_models.plan.answers.answer_schema import groups_of
from ceus_models.plan.answers.secure_layout import find_words
from ceus_models.plan.plan import Plan, load_plan
from ceus_models.plan.progress import Progress
from ceus_models.plan.rounds.any_stage import find_rounds
from ceus_models.plan.train_stage import Train
from ceus_models.protocol.encoding import count_bytes
from ceus_models.protocol.messages import Normaliser, Quantisation, Recipe, Task, Update
from ceus_models.protocol.privacy.secure_session import MASKED, NARROW
from ceus_models.protocol.state import State
from ceus_models.study.taxonomy import CLINICAL

PLANS = Path(__file__).parents[1] / "configs"
SITES = 52
FORMS: tuple[tuple[str, dict[str, object]], ...] = (
    ("float32", {"changes": None, "weights": "float32"}),
    ("16 bits, weights bfloat16", {"changes": Quantisation(16), "weights": "bfloat16"}),
    ("12 bits, weights bfloat16", {"changes": Quantisation(12), "weights": "bfloat16"}),
    ("8 bits, weights bfloat16", {"changes": Quantisation(8), "weights": "bfloat16"}),
)


def find_stage(plan: Plan) -> tuple[int, Train]:
    """The stage that trains the sub-models."""
    return next((n, stage) for n, stage in enumerate(plan.stages) if stage.name == "submodels")  # type: ignore[misc]


def build_progress(plan: Plan, index: int, stage: Train) -> Progress:
    """Nets of the plan's shapes, which need no memory until they are touched."""
    clinical = (0.0,) * len(CLINICAL), (1.0,) * len(CLINICAL)
    recipe = Recipe(plan.architecture, Normaliser(0.3, 0.2, 1.0, *clinical), ("age",), {}, plan.fusion_hidden)
    recipe = replace(recipe, sharing=plan.sharing)
    nets: dict[str, State] = {}
    for net in stage.list_trained_nets(plan.sharing):
        drawn = build_on_meta(net, recipe)
        local = list_local_names(drawn)
        nets[net] = {n: torch.zeros(t.shape) for n, t in drawn.state_dict().items() if n not in local}
    return Progress(stage=index, recipe=recipe, nets=nets)


def make_answer(task: Task) -> Update:
    """An answer of the task's form."""
    specs = {name: spec for group in groups_of(task).values() for name, spec in group.items()}
    return Update("site-01", {n: torch.zeros(s.shape, dtype=s.dtype) for n, s in specs.items()}, 100.0, task="0" * 64)


def make_masked(task: Task) -> Update:
    """A masked answer in a sum over all sites."""
    words = find_words(replace(task, level="sums"), SITES)
    sums = {MASKED: torch.zeros(words.wide, dtype=torch.int64)}
    if words.narrow:
        sums[NARROW] = torch.zeros(words.narrow, words.word_bytes, dtype=torch.uint8)
    return Update("site-01", sums, 0.0, task="0" * 64)


def list_rows() -> Iterator[tuple[str, str, float, float, float, float]]:
    """Nets, form, and MB: to a site, from it, masked from it, and of the first round both ways."""
    for title, name in (("nine nets", "plan.paper.yaml"), ("one trunk", "plan.paper-trunk.yaml")):
        plan = load_plan(PLANS / name)
        index, stage = find_stage(plan)
        progress, study = build_progress(plan, index, stage), plan.study(1)
        second = 2 if stage.sequence()[1][0] == "evaluate" else 1
        for form, changes in FORMS:
            formed = replace(stage, **changes)  # type: ignore[arg-type]
            task, first = (find_rounds(formed).task(replace(progress, step=step), study) for step in (second, 0))
            ways = count_bytes(task), count_bytes(make_answer(task)), count_bytes(make_masked(task))
            begun = count_bytes(first) + count_bytes(make_answer(first))
            yield title, form, *(size / 1e6 for size in (*ways, begun))  # type: ignore[misc]


def main() -> None:
    """Print the table, and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path)
    out = parser.parse_args().out
    rows = list(list_rows())
    whole = rows[0][2], rows[0][3], rows[0][2] + rows[0][3]
    lines = [
        "| nets | changes | MB to a site | MB from a site | both ways | first round, both ways | masked, from a site |",
        "|---|---|---|---|---|---|---|",
    ]
    for title, form, down, up, masked, begun in rows:
        shares = [f"{size:,.1f} (1/{full / size:.1f})" for size, full in zip((down, up, down + up), whole, strict=True)]
        lines.append(f"| {title} | {form} | {' | '.join(shares)} | {begun:,.1f} | {masked:,.1f} |")
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if out:
        out.write_text(text)


if __name__ == "__main__":
    main()
