"""Sites are spread by their cost, and stay where they were as long as that costs little."""

from __future__ import annotations

from sim.engine.cluster.placement import place_sites

COSTS = {"a": 8.0, "b": 4.0, "c": 3.0, "d": 1.0}
SITES = list(COSTS)


def test_nodes_get_work_in_proportion_to_their_workers_and_the_largest_site_first() -> None:
    placed = place_sites(SITES, COSTS, {}, {"one": 1, "two": 1}, fixed=False)
    assert placed == {"one": ["a"], "two": ["b", "c", "d"]}
    many = [f"site-{n}" for n in range(300)]
    wide = place_sites(many, {}, {}, {"one": 1, "two": 2}, fixed=False)
    assert {node: len(sites) for node, sites in wide.items()} == {"one": 100, "two": 200}


def test_sites_stay_at_home_unless_their_node_has_far_more_than_its_share() -> None:
    homes = {"a": "two", "b": "one", "c": "one", "d": "one"}
    assert place_sites(SITES, COSTS, homes, {"one": 1, "two": 1}, fixed=False) == {"two": ["a"], "one": ["b", "c", "d"]}
    crowded = dict.fromkeys(SITES, "one")
    assert place_sites(SITES, COSTS, crowded, {"one": 1, "two": 1}, fixed=True) == {"one": SITES}
    assert place_sites(SITES, COSTS, crowded, {"one": 1, "two": 1}, fixed=False) == {
        "one": ["a", "d"],
        "two": ["b", "c"],
    }


def test_sites_of_a_lost_node_move() -> None:
    homes = {"a": "gone", "b": "one", "c": "two", "d": "gone"}
    placed = place_sites(SITES, COSTS, homes, {"one": 1, "two": 1}, fixed=True)
    assert sorted(site for sites in placed.values() for site in sites) == SITES
    assert "b" in placed["one"]
    assert "c" in placed["two"]
