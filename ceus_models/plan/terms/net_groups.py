"""Names of nets and cohorts in a plan, and the group names that stand for several nets."""

from __future__ import annotations

from collections.abc import Sequence

from ceus_models.study.taxonomy import BIOMARKER_NETS, COHORTS, DISEASE_NETS, FUSION_NETS, OUTPUTS, SUBMODELS

GROUPS = {
    "submodels": SUBMODELS,
    "disease": DISEASE_NETS,
    "biomarker": BIOMARKER_NETS,
    "fusion": FUSION_NETS,
}


def is_known_net(name: str) -> bool:
    """Whether `name` is a net or a group of nets."""
    return name in OUTPUTS or name in GROUPS


def net(name: str) -> str:
    """The name of a net or a shorthand. Raises ValueError for another one."""
    if not is_known_net(name):
        raise ValueError(f"a net is one of {', '.join((*OUTPUTS, *GROUPS))}, found {name!r}; correct its spelling")
    return name


def cohort(name: str) -> str:
    """The name of a cohort of the study. Raises ValueError for another one."""
    if name not in COHORTS:
        raise ValueError(f"a cohort is one of {', '.join(COHORTS)}, found {name!r}; correct its spelling")
    return name


def expand_names(names: Sequence[str]) -> tuple[str, ...]:
    """Replace group names by their nets: each net once, in the order of the taxonomy.

    >>> expand_names(["fusion"])
    ('fusion/D', 'fusion/DC', 'fusion/DB', 'fusion/DCB')

    Raises:
        ValueError: for a name that is neither a net nor a group.
    """
    members = {member for name in names for member in GROUPS.get(net(name), (name,))}
    return tuple(member for member in OUTPUTS if member in members)


def required_nets(net: str) -> tuple[str, ...]:
    """The nets that must be trained before `net`: all sub-models for a fusion net, else none."""
    return SUBMODELS if net in FUSION_NETS else ()
