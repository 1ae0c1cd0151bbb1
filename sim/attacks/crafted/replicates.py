"""Bootstrap replicates as fingerprints: a lesion draws the same weights for every table, so tables can be unmixed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ceus_models.protocol.messages import Recipe
from ceus_models.study.taxonomy import CLINICAL_NAMES
from sim.attacks.coordinator import CuriousCoordinator
from sim.attacks.crafted.fusion_net import TYPES, CraftedFusion, Question, add_submodels, join_states
from sim.attacks.crafted.histograms import COHORT, LOGIT_BOUND, NETS, widen_recipe
from sim.attacks.facts import Fact, describe_record

Ints = npt.NDArray[np.int64]
REPLICATES = 1000
COARSE_BINS = 64
"""Of the histogram that evaluations released once for each replicate; the estimate alone has none to compare."""
_PROJECTIONS = 7
_AXES = 4
_RANGE = 3.0
"""Standard deviations on either side that the histogram covers."""
_PLACE = LOGIT_BOUND / _RANGE
_BEYOND = 4 * LOGIT_BOUND
_LIFT = 100.0


def recover_replicates(attacker: CuriousCoordinator, replicates: int = REPLICATES) -> list[Fact]:
    """Twelve evaluate tasks: the type of every lesion, and the bin of each clinical value. Raises Refused.

    Random scores first, until most lesions are alone in some bin, whose replicates are then theirs; then a score for
    each variable, whose bins are told apart by least squares.
    """
    recipe = widen_recipe(attacker.recipe)
    questions = [*_draw_projections(), *_ask_each_variable()]
    tables: list[Ints] = []
    kinds: Ints | None = None
    for number, pair in enumerate(zip(questions[::2], questions[1::2], strict=True)):
        nets = [_build_score(net, recipe, question) for net, question in zip(NETS, pair, strict=True)]
        task = attacker.build_task("evaluate", NETS, cohorts=(COHORT,), inputs=join_states(*nets))
        task = replace(task, replicates=replicates, round=task.round + number)
        answer = attacker.ask(add_submodels(task, recipe))
        for net in NETS:
            scores = answer[f"{COHORT}|{net}|scores"].numpy().astype(np.int64)  # (1+R k 2 bins)
            if scores.ndim < _AXES:
                return []
            tables.append(scores[:, 0].sum(axis=1).T)  # (bins 1+R)
            kinds = scores[:, :, 1].sum(axis=2).T  # (k 1+R)
    prints = _isolate(tables[:_PROJECTIONS])
    if kinds is None or not len(prints):
        return []
    columns = [_assign(kinds, prints), *(_assign(table, prints) for table in tables[_PROJECTIONS:])]
    return [tuple(map(float, row)) for row in np.stack(columns, axis=1)]


def list_bins(attacker: CuriousCoordinator) -> list[Fact]:
    """The truth: the type, then the bin of each of the clinical values of every lesion."""
    recipe = widen_recipe(attacker.recipe)
    found = []
    for sample in attacker.list_samples(COHORT, "evaluate"):
        logits = np.array([question.ask(sample.clinical, recipe) for question in _ask_each_variable()])
        bins = ((logits.clip(-LOGIT_BOUND, LOGIT_BOUND) + LOGIT_BOUND) * COARSE_BINS / (2 * LOGIT_BOUND)).astype(int)
        found.append((describe_record(sample)[0], *map(float, bins.clip(0, COARSE_BINS - 1))))
    return found


def _draw_projections() -> Iterator[Question]:
    draws, each = np.random.default_rng(11), len(CLINICAL_NAMES)
    for _ in range(_PROJECTIONS):
        yield Question(draws.normal(0, each**-0.5 * _PLACE, each), draws.normal(0, each**-0.5 * _PLACE, each))


def _ask_each_variable() -> Iterator[Question]:
    """The standardised value at the middle of a bin's width; what is not recorded in the last bin."""
    for place in range(len(CLINICAL_NAMES)):
        one = np.eye(len(CLINICAL_NAMES))[place]
        yield Question(one * _PLACE, one * _BEYOND)


def _build_score(net: str, recipe: Recipe, question: Question) -> CraftedFusion:
    """A net whose probability of the first type has this logit: the other types share the rest."""
    crafted = CraftedFusion(net, recipe)
    crafted.write(0, question.add(_LIFT))
    crafted.out[0, 0] = 1.0
    crafted.out_bias[0] = -_LIFT
    crafted.out_bias[1:] = -np.log(TYPES - 1)
    return crafted


def _isolate(tables: Sequence[Ints]) -> Ints:
    """The replicates (n 1+R) of lesions that are alone in a bin, or become so once those that are known are taken out.

    tables: (bins 1+R), [:, 0] the count itself.
    """
    known = np.zeros((0, tables[0].shape[1]), np.int64)
    while True:
        fresh = [row for table in tables for row in _take_out(table, known) if row[0] == 1]
        grown = np.unique(np.concatenate([known, *(row[None] for row in fresh)]), axis=0) if fresh else known
        grown = grown[(grown >= 0).all(axis=1)]
        if len(grown) == len(known):
            return grown
        known = grown


def _take_out(table: Ints, known: Ints) -> Ints:
    """What is left of each bin without the lesions that are known."""
    if not len(known):
        return table
    places = _assign(table, known)
    left = table.copy()
    np.subtract.at(left, places[places >= 0], known[places >= 0])
    return left


def _assign(table: Ints, prints: Ints) -> Ints:
    """Which bin (n) each lesion is in, -1 for none: the memberships that explain the table's replicates best."""
    solved, *_ = np.linalg.lstsq(prints.T.astype(np.float64), table.T.astype(np.float64), rcond=None)  # (n bins)
    return np.where(solved.max(axis=1) > 0.5, solved.argmax(axis=1), -1)
