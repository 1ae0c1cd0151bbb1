"""Who is asked in a round: a seeded share, the same when a round is asked again; and who is never there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ceus_models.protocol.messages import Task, Update
from server.rounds.coordinator import sample_sites
from server.rounds.round import Answer
from sim.engine.absent_sites import PartialLink

SITES = [f"site-{n:02d}" for n in range(1, 21)]
TASK = Task(kind="train", study="s", seed=1, stage="submodels", round=1)


class Everybody:
    """A link whose sites all answer."""

    def sites(self) -> list[str]:
        return SITES

    def ask(self, task: Task, sites: Sequence[str]) -> Iterator[tuple[str, Answer]]:
        for site in sites:
            yield site, Update(site, {}, 0.0)


def test_the_share_is_kept_and_changes_from_round_to_round() -> None:
    rounds = [sample_sites(replace(TASK, round=number), SITES, 0.25) for number in range(40)]
    assert {len(chosen) for chosen in rounds} == {5}
    assert len(set(rounds)) > 30
    asked = [sum(site in chosen for chosen in rounds) for site in SITES]
    assert min(asked) > 0  # nobody is left out for good
    assert max(asked) < 25


def test_the_choice_depends_on_the_seed_and_not_on_the_order() -> None:
    assert set(sample_sites(TASK, SITES, 0.5)) == set(sample_sites(TASK, SITES[::-1], 0.5))
    assert sample_sites(TASK, SITES, 0.5) != sample_sites(replace(TASK, seed=2), SITES, 0.5)
    assert len(sample_sites(TASK, SITES[:1], 0.1)) == 1
    assert sample_sites(TASK, SITES, 1.0) == tuple(SITES)


def test_required_sites_are_asked_in_every_round() -> None:
    rounds = [sample_sites(replace(TASK, round=number), SITES, 0.25, ("site-07", "gone")) for number in range(40)]
    assert all("site-07" in chosen and "gone" not in chosen for chosen in rounds)
    assert {len(chosen) for chosen in rounds} == {5, 6}


def test_who_is_away_is_not_connected() -> None:
    link = PartialLink(Everybody(), {"site-03"})
    assert set(link.sites()) == set(SITES) - {"site-03"}
    assert [site for site, _ in link.ask(TASK, ["site-01"])] == ["site-01"]
