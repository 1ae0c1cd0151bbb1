"""Who is present in a round: a seeded share, the same when a round is asked again, and told honestly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ceus_models.wire import Task, Update
from server.exchange import Answer, Lost
from sim.presence import ABSENT, Attendance, present

SITES = [f"site-{n:02d}" for n in range(1, 21)]
TASK = Task(kind="train", study="s", seed=1, stage="submodels", round=1)


class Everybody:
    """A link whose sites all answer."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def sites(self) -> list[str]:
        return SITES

    def ask(self, task: Task, sites: Sequence[str]) -> Iterator[tuple[str, Answer]]:
        self.asked.append(list(sites))
        for site in sites:
            yield site, Update(site, {}, 0.0)


def test_the_share_is_kept_and_changes_from_round_to_round() -> None:
    rounds = [present(replace(TASK, round=number), SITES, 0.25) for number in range(40)]
    assert {len(chosen) for chosen in rounds} == {5}
    assert len(set(rounds)) > 30
    attended = [sum(site in chosen for chosen in rounds) for site in SITES]
    assert min(attended) > 0  # nobody is away for good
    assert max(attended) < 25


def test_the_choice_depends_on_the_seed_and_not_on_the_order() -> None:
    assert present(TASK, SITES, 0.5) == present(TASK, SITES[::-1], 0.5)
    assert present(TASK, SITES, 0.5) != present(replace(TASK, seed=2), SITES, 0.5)
    assert len(present(TASK, SITES[:1], 0.1)) == 1


def test_who_is_absent_is_lost_and_not_asked() -> None:
    link = Everybody()
    answers = dict(Attendance(link, 0.5).ask(TASK, SITES))
    lost = {site for site, answer in answers.items() if answer == Lost(site, ABSENT)}
    assert len(lost) == 10
    assert set(link.asked[0]) == set(SITES) - lost


def test_who_is_asked_again_within_a_round_is_still_present() -> None:
    link = Everybody()
    attendance = Attendance(link, 0.5)
    list(attendance.ask(TASK, SITES))
    again = link.asked[0]
    assert not [answer for _, answer in attendance.ask(TASK, again) if isinstance(answer, Lost)]
    assert link.asked[1] == again


def test_evaluation_is_asked_of_everybody_but_those_that_are_away() -> None:
    link = Everybody()
    attendance = Attendance(link, 0.25, {"site-03"})
    assert "site-03" not in attendance.sites()
    list(attendance.ask(replace(TASK, kind="evaluate"), attendance.sites()))
    assert len(link.asked[0]) == 19
