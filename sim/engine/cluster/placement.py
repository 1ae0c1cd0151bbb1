"""Which node answers for which site: each where it was before, the others where least is to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_SLACK = 1.2
"""A site leaves its node only where that node would have so many times its share of the work."""


def place_sites(
    sites: Sequence[str], costs: Mapping[str, float], homes: Mapping[str, str], slots: Mapping[str, int], fixed: bool
) -> dict[str, list[str]]:
    """Place sites on nodes, the most expensive first.

    Args:
        costs: of a site, such as its lesions; at least one is reckoned.
        homes: node of each site in the round before.
        slots: worker processes of each node.
        fixed: whether a site stays at its home as long as that node lives.

    Returns:
        Node → its sites, the most expensive first; nodes without a site are left out.

    >>> place_sites(["a", "b", "c"], {"a": 5, "b": 4, "c": 1}, {}, {"one": 1, "two": 1}, False)
    {'one': ['a'], 'two': ['b', 'c']}
    """
    cost = {site: max(1.0, costs.get(site, 0.0)) for site in sites}
    share = _SLACK * sum(cost.values()) / sum(slots.values())
    loads, placed = dict.fromkeys(slots, 0.0), dict[str, list[str]]()
    for site in sorted(sites, key=lambda site: (-cost[site], site)):
        node = homes.get(site, "")
        stays = node in slots and (fixed or not loads[node] or (loads[node] + cost[site]) / slots[node] <= share)
        if not stays:
            node = min(slots, key=lambda other: (loads[other] + cost[site]) / slots[other])
        loads[node] += cost[site]
        placed.setdefault(node, []).append(site)
    return placed
