"""Each trouble of one site in six: the run ends, its result is that of a run without that site in that round (or, where
the site recovers in time, of a run without trouble), and the record names the site and the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from faulty_sites import BAD, CLOCK, FAST, NAMES, PLAN, ROUND, STAGE, TROUBLES, Post, link_of, made_up_time, silent

from ceus_models.plan.plan import Plan
from ceus_models.plan.progress import Progress
from ceus_models.plan.terms.participation import RoundRecord, list_silent_sites
from ceus_models.protocol.state import digest
from ceus_models.runtime.seeds import derive_seed
from server.rounds.coordinator import run
from server.rounds.events import Answered, Event, Started
from server.rounds.saving.checkpoints import Store
from server.transport.message_log import MessageLog

SHORT = {"crash before training", "crash during training", "hang", "garbage", "NaN", "answer to another round"}


@pytest.fixture(autouse=True, scope="module")
def _in_made_up_time() -> Iterator[None]:
    with made_up_time():
        yield


@pytest.fixture(autouse=True, scope="module")
def _tiny_nets() -> Iterator[None]:
    def tiny(net: str, recipe: object, seed: int) -> dict[str, torch.Tensor]:
        generator = torch.Generator().manual_seed(derive_seed(seed, net))
        return {name: torch.randn(shape, generator=generator) for name, shape in (("w", (3, 2)), ("bias", (2,)))}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ceus_models.plan.rounds.training.build_initial_state", tiny)
        yield


Away = Callable[[str, int], bool]


def walked(folder: Path, post: Post, plan: Plan = PLAN, away: Away = lambda kind, number: False) -> Progress:
    """The whole plan. away: the bad site is gone in the rounds of that kind and number, and there in all others."""

    def present(event: Event) -> None:
        kind, number = _next(event)
        if away(kind, number):
            post.leave()
        elif BAD not in {seat.site for seat in post.online}:
            post.move("again")
            CLOCK.sleep(2 * FAST.look_s)  # so that the link looks anew

    return run(plan, link_of(post, MessageLog(folder)), Store(folder), 7, present)


def _next(event: Event) -> tuple[str, int]:
    """The round that is under way, or that begins next."""
    if isinstance(event, Started):
        return event.kind, event.round
    if isinstance(event, Answered):
        return "train" if event.stage == STAGE else event.stage, event.round
    after = {"hello": ("tally", 0), "tally": ("train", 1)}
    return after.get(event.record.kind, ("train", event.record.round + 1))


def nets(progress: Progress) -> dict[str, str]:
    return {net: digest(state) for net, state in progress.nets.items()}


def bad_round(progress: Progress) -> RoundRecord:
    return next(r for r in progress.participation if (r.stage, r.round) == (STAGE, ROUND))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, _tiny_nets: None) -> Progress:
    return walked(tmp_path_factory.mktemp("undisturbed"), Post())


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory, _tiny_nets: None) -> Progress:
    """The bad site says no, politely, in the round in which others fail."""
    return walked(tmp_path_factory.mktemp("without"), Post(TROUBLES["disk full"][0]))


def test_the_two_yardsticks_differ(undisturbed: Progress, without: Progress) -> None:
    assert nets(undisturbed) != nets(without)
    assert bad_round(undisturbed).counted == NAMES
    assert bad_round(without).counted == tuple(name for name in NAMES if name != BAD)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in SHORT else pytest.mark.slow) for n in TROUBLES], ids=lambda n: n
)
def test_one_site_in_trouble_costs_itself_one_round_at_most(
    name: str, undisturbed: Progress, without: Progress, tmp_path: Path
) -> None:
    trouble, fate, reason = TROUBLES[name]
    progress = walked(tmp_path, Post(trouble))
    record = bad_round(progress)
    assert nets(progress) == nets(undisturbed if fate == "counted" else without)
    if fate == "counted":
        assert record.counted == NAMES
    else:
        assert list(getattr(record, fate)) == [BAD]
        assert reason in getattr(record, fate)[BAD]
        assert record.counted == tuple(site for site in NAMES if site != BAD)
    assert all(r.counted == NAMES for r in progress.participation if r is not record), "it is back in the next round"


def test_a_site_that_leaves_is_missing_from_then_on_by_name(tmp_path: Path, undisturbed: Progress) -> None:
    progress = walked(tmp_path, Post(), away=lambda kind, number: kind == "train" and number >= ROUND)
    rounds = [r for r in progress.participation if r.stage == STAGE]
    assert [r.lost.get(BAD, "") for r in rounds] == ["", rounds[1].lost[BAD], "not connected"]
    assert "went away" in rounds[1].lost[BAD]


def test_a_site_that_joins_late_is_asked_hello_first_and_counts_from_then_on(tmp_path: Path) -> None:
    late, rounds = Post(), []
    late.leave()

    def away(kind: str, number: int) -> bool:
        rounds.append(number)
        return 2 not in rounds

    progress = walked(tmp_path / "late", late, away=away)
    assert [(r.kind, r.round, BAD in r.counted) for r in progress.participation] == [
        ("hello", 0, False), ("tally", 0, False), ("train", 1, False), ("hello", 0, True), ("train", 2, True),
        ("train", 3, True),
    ]  # fmt: skip
    assert progress.counts[BAD]["training_a"] == 18
    absent = walked(tmp_path / "absent", Post(), away=lambda kind, number: kind == "tally" or number == 1)
    assert nets(progress) == nets(absent)


def test_a_plan_may_close_the_door_after_the_hello(tmp_path: Path) -> None:
    post = Post()
    post.leave()
    plan = replace(PLAN, late="never")
    progress = walked(tmp_path, post, plan, away=lambda kind, number: kind != "train")
    assert BAD not in progress.counts
    assert [r.kind for r in progress.participation] == ["hello", "tally", "train", "train", "train"]


def test_a_site_that_fails_in_every_round_is_marked_to_be_looked_at() -> None:
    lost = [
        RoundRecord("s", "train", n, asked=NAMES, counted=NAMES[:3], lost={BAD: f"reason {n}"}) for n in range(1, 5)
    ]
    assert list_silent_sites(lost[:2]) == {}
    assert list_silent_sites(lost) == {BAD: "4 rounds in a row: reason 4"}
    assert list_silent_sites([*lost, RoundRecord("s", "train", 5, asked=NAMES, counted=NAMES)]) == {}


def test_the_mirror_has_every_letter_of_the_round_by_the_sites_own_ids(tmp_path: Path) -> None:
    walked(tmp_path, Post(silent))
    lines = [line for line in MessageLog(tmp_path).read_lines() if (line["stage"], line["round"]) == (STAGE, ROUND)]
    assert len({line["task"] for line in lines}) == 1
    assert sorted(line["site"] for line in lines if line["event"] == "sent") == sorted(NAMES)
    came = {line["site"]: line for line in lines if line["event"] == "came"}
    assert sorted(came) == [name for name in NAMES if name != BAD]
    assert all(len(line["digest"]) == 64 and line["bytes"] > 100 for line in came.values())
    (lost,) = [line["fault"] for line in lines if line["event"] == "lost"]
    assert lost.startswith("it gave no answer within")
