"""Names of nets and cohorts in a plan, and the group names that stand for several nets."""

from __future__ import annotations

from collections.abc import Sequence

from ceus_models.study.taxonomy import BIOMARKER_NETS, COHORTS, DISEASE_NETS, FUSION_NETS, NETS, SUBMODELS

GROUPS = {
    "submodels": SUBMODELS,
    "disease": DISEASE_NETS,
    "biomarker": BIOMARKER_NETS,
    "fusion": FUSION_NETS,
}


def known_net(name: str) -> bool:
    """Whether `name` is a net or a group of nets."""
    return name in NETS or name in GROUPS


def known_cohort(name: str) -> bool:
    """Whether `name` is a cohort of the study."""
    return name in COHORTS


def expanded(names: Sequence[str]) -> tuple[str, ...]:
    """Replace group names by their nets: each net once, in the order of the taxonomy.

    >>> expanded(["fusion"])
    ('fusion/D', 'fusion/DC', 'fusion/DB', 'fusion/DCB')

    Raises:
        ValueError: for a name that is neither a net nor a group.
    """
    unknown = [name for name in names if not known_net(name)]
    if unknown:
        raise ValueError(
            f"a net must be one of {', '.join(NETS)}, or a group: {', '.join(GROUPS)}; found {unknown[0]!r}"
        )
    members = {net for name in names for net in GROUPS.get(name, (name,))}
    return tuple(net for net in NETS if net in members)


def needed_by(net: str) -> tuple[str, ...]:
    """The nets that must be trained before `net`: all sub-models for a fusion net, else none."""
    return SUBMODELS if net in FUSION_NETS else ()
