"""Tables of who was right in which subgroup: a net that is right about one patient alone finds all his subgroups."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import torch

from ceus_models.protocol.messages import Recipe
from ceus_models.study.subgroups import CELLS, SUBGROUPS, build_slices, list_cells
from ceus_models.study.taxonomy import LESION_TYPES
from sim.attacks.coordinator import CuriousCoordinator, Refused
from sim.attacks.crafted.fusion_net import TYPES, CraftedFusion
from sim.attacks.crafted.histograms import NETS, TESTED, Victim, ask_planned, choose_tested, write_trap
from sim.attacks.facts import Fact

_PAIRS = list(zip(range(0, TYPES, 2), range(1, TYPES, 2), strict=True))
"""Types that are asked together, one of each net."""
_WANTED = ("etiology", "cirrhosis", "fatty_liver", "manufacturer", "pathology_confirmed", "malignancy_history")
_TYPE = float(len(SUBGROUPS))
"""Number of the type among a victim's facts, after the subgroup variables."""


def recover_subgroups(attacker: CuriousCoordinator) -> list[Fact]:
    """The type and six subgroups of patients of whom age, sex and tumour size are known. Raises Refused.

    A net for each type names it for the patient alone, and for all others a type that the cohort does not have.
    """
    found: list[Fact] = []
    for number, (victim, kinds) in enumerate(product(enumerate(choose_tested(attacker)), _PAIRS)):
        named = list(zip(NETS, kinds, strict=True))
        nets = [_build_namer(net, attacker.recipe, victim[1], kind) for net, kind in named]
        try:
            answer = ask_planned(attacker, nets, number)
        except Refused:
            if not number:
                raise
            return found
        for net, kind in named:
            facts = _read_groups(answer.get(f"{TESTED}|{net}|groups"), kind)
            found += [(float(victim[0]), *fact) for fact in facts]
    return found


def list_subgroups(attacker: CuriousCoordinator) -> list[Fact]:
    """The truth: (victim, variable, value's place in CELLS), and (victim, number of the type, type)."""
    found: list[Fact] = []
    for number, victim in enumerate(choose_tested(attacker)):
        cells = dict(zip(SUBGROUPS, list_cells(victim.sample), strict=True))
        variables = list(SUBGROUPS)
        found += [(float(number), float(variables.index(name)), float(cells[name])) for name in _WANTED]
        found.append((float(number), _TYPE, float(LESION_TYPES.index(str(victim.sample.label)))))
    return found


def _build_namer(net: str, recipe: Recipe, victim: Victim, kind: int) -> CraftedFusion:
    """A net that names `kind` for the victim and the last type, or for it the first one, for all others."""
    crafted = CraftedFusion(net, recipe)
    units = write_trap(crafted, victim)
    other = TYPES - 1 if kind != TYPES - 1 else 0
    crafted.out[other, :units] = 1.0
    crafted.out_bias[other] = -0.5
    crafted.out_bias[[k for k in range(TYPES) if k not in (kind, other)]] = -100.0
    return crafted


def _read_groups(groups: torch.Tensor | None, kind: int) -> Iterator[Fact]:
    """What one right lesion tells; groups (cells [lesions, right])."""
    if groups is None:
        return
    right = groups[:, 1].numpy()
    for number, (name, span) in enumerate(build_slices().items()):
        places = np.flatnonzero(right[span] == 1)
        if right[span].sum() == 1 and name in _WANTED:
            yield float(number), float(range(len(CELLS))[span][int(places[0])])
    if max(right[span].sum() for span in build_slices().values()) == 1:
        yield _TYPE, float(kind)
