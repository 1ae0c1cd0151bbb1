"""Pools of test cohorts: their sums are added like those of sites."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ceus_models.protocol.state import State
from ceus_models.study.taxonomy import TEST_COHORTS

POOLS: Mapping[str, tuple[str, ...]] = {"external_tests": TEST_COHORTS[1:], "all_tests": TEST_COHORTS}
"""The reference study counts misdiagnoses over the three external test sets."""
_POOLED = ("|confusion", "|scores", "|groups", "|mix", "|withheld", "|pairs|right")


def pool_cohorts(total: State) -> State:
    """Add to the counts of an evaluation the sums over each pool of test cohorts, under the pool's name.

    A pool with a single cohort adds no information and is left out.
    """
    found: dict[str, Tensor] = dict(total)
    for pool, cohorts in POOLS.items():
        inside = [
            name
            for name in total
            if name.endswith(_POOLED) and "|readers|" not in name and name.partition("|")[0] in cohorts
        ]
        if len({name.partition("|")[0] for name in inside}) < 2:
            continue
        for name in inside:
            taken = f"{pool}|{name.partition('|')[2]}"
            found[taken] = found[taken] + total[name] if taken in found else total[name]
    return found
