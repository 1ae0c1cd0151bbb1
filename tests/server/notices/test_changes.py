"""What changes between two snapshots, kind by kind; and how often the same is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from made_facts import MINUTE_S, World, at

from server.notices.changes import Change, find_changes
from server.notices.damping import Held, damp
from server.notices.facts import Facts, observe
from server.notices.kinds import KINDS
from server.notices.message import LONGEST, clean_text, compose

GONE_S = 15 * MINUTE_S
ADDRESS = "fl.example.org:443"


class Watch:
    """A world, the facts of its last look, and what was told."""

    def __init__(self) -> None:
        self.world = World()
        self.facts: Facts | None = None
        self.held: dict[str, Held] = {}
        self.seconds = 0.0

    def look(self, after_s: float = 10.0, address: str = ADDRESS) -> list[Change]:
        """What changed since the last look."""
        self.seconds += after_s
        now = at(self.seconds)
        before, self.facts = self.facts, observe(self.facts, self.world.snapshot(), address, now)
        return find_changes(before, self.facts, GONE_S)

    def tell(self, after_s: float = 10.0) -> list[str]:
        """What is told of it now."""
        self.held, told = damp(self.held, self.look(after_s), at(self.seconds))
        return list(compose(told, "lab:abc", 0.0).lines) if told else []


@pytest.fixture
def watch() -> Watch:
    made = Watch()
    assert made.look() == []
    return made


def texts(changes: list[Change]) -> list[tuple[str, str]]:
    return [(change.kind, change.text) for change in changes]


def test_nothing_is_told_where_nothing_changes(watch: Watch) -> None:
    watch.world.add_round()
    assert watch.look() == []


def test_trouble_and_its_end(watch: Watch) -> None:
    watch.world.trouble = "the disk is full: 9 MB free"
    assert watch.look() == []
    assert watch.look(55) == []
    watch.world.trouble = "the disk is full: 8 MB free"
    assert texts(watch.look()) == [("trouble", "study liver: it does not get on: the disk is full: 8 MB free")]
    watch.world.trouble = "the disk is full: 7 MB free"
    assert watch.look(100) == []
    watch.world.trouble = "no site is connected"
    assert watch.look() == []
    assert texts(watch.look(60)) == [("trouble", "study liver: it does not get on: no site is connected")]
    watch.world.trouble = ""
    assert texts(watch.look()) == [("trouble", "study liver: the trouble is over: no site is connected")]


def test_what_hinders_a_run_for_a_moment_is_not_told(watch: Watch) -> None:
    for trouble in ("the SuperLink does not listen", "", "the SuperLink does not listen", ""):
        watch.world.trouble = trouble
        assert watch.look(50) == []


@pytest.mark.parametrize(
    ("phase", "cause", "text"),
    [
        ("done", "", "the run is done"),
        ("stopped", "as ordered", "the run was stopped: as ordered"),
        ("failed", "ended 5 times", "the run has failed: ended 5 times"),
    ],
)
def test_the_end_of_a_run_with_its_cause(watch: Watch, phase: str, cause: str, text: str) -> None:
    watch.world.phase, watch.world.cause = phase, cause
    assert texts(watch.look()) == [("end", f"study liver: {text}")]
    assert watch.look() == []
    watch.world.order = "second"  # ended again within one look
    assert texts(watch.look()) == [("end", f"study liver: {text}")]


def test_an_old_end_is_not_told_at_the_first_look() -> None:
    first = Watch()
    first.world.phase = "done"
    first.world.add_round(lost={"site-01": "no answer"})
    first.world.trouble, first.world.days = "the disk is full", {"CA": 5}
    assert [change.kind for change in first.look()] == ["certificate"]
    assert [change.kind for change in first.look(60)] == ["trouble"]


def test_refusals_exclusions_and_losses_are_told_once_an_hour_for_all_sites(watch: Watch) -> None:
    watch.world.add_round(lost={"site-01": "no answer", "site-02": "no answer"}, refused={"site-03": "paused"})
    assert watch.tell() == [
        "study liver: site-03 refused in submodels, train 0: paused",
        "study liver: site-01 lost in submodels, train 0: no answer",
        "study liver: site-02 lost in submodels, train 0: no answer",
    ]
    for _ in range(20):
        watch.world.add_round(lost={"site-01": "no answer"}, excluded={})
        assert watch.tell(MINUTE_S) == []
    assert watch.tell(40 * MINUTE_S) == ["study liver: site-01 lost in submodels, train 20: no answer (20 times)"]
    assert watch.tell(90 * MINUTE_S) == []
    watch.world.add_round(excluded={"site-01": "its norm is 9 times the median"})
    assert watch.tell() == ["study liver: site-01 excluded in submodels, train 21: its norm is 9 times the median"]


def test_a_new_run_counts_from_nothing(watch: Watch) -> None:
    watch.world.add_round(lost={"site-01": "a"})
    watch.world.add_round(lost={"site-01": "a"})
    assert [change.count for change in watch.look()] == [2]
    watch.world.rounds.clear()
    watch.world.order = "second"
    assert watch.look() == []
    watch.world.add_round(lost={"site-01": "b"})
    assert [change.count for change in watch.look()] == [1]


def test_certificates_are_told_at_30_7_and_1_days_and_when_they_have_expired(watch: Watch) -> None:
    told = {}
    for days in range(40, -4, -1):
        watch.world.days["site-01"] = days
        for change in watch.look():
            told[days] = change.text
    assert {days: text.partition(";")[0] for days, text in told.items()} == {
        30: "the certificate of site-01 expires in 30 days",
        7: "the certificate of site-01 expires in 7 days",
        1: "the certificate of site-01 expires within two days",
        -1: "the certificate of site-01 has expired",
    }
    watch.world.days["site-01"] = 365
    assert watch.look() == []


def test_a_site_is_gone_after_the_stated_time_and_back_at_once(watch: Watch) -> None:
    watch.world.online["site-02"] = False
    assert watch.look() == []
    watch.world.online["site-02"] = None  # the SuperLink cannot be asked: nothing is known
    assert watch.look(14 * MINUTE_S) == []
    watch.world.online["site-02"] = False
    assert texts(watch.look(2 * MINUTE_S)) == [("gone", "site-02 is gone: not connected for more than 15 minutes")]
    assert watch.look(100 * MINUTE_S) == []
    watch.world.online["site-02"] = True
    assert texts(watch.look()) == [("gone", "site-02 is back")]


def test_a_site_that_never_came_is_not_gone(watch: Watch) -> None:
    watch.world.online["site-04"] = False
    assert watch.look() == []
    assert watch.look(60 * MINUTE_S) == []


def test_a_site_that_comes_and_goes_ten_times_an_hour_is_one_message(watch: Watch) -> None:
    told = []
    for _ in range(10):
        for on in (False, True):
            watch.world.online["site-01"] = on
            told += watch.tell(3 * MINUTE_S)
    assert told == ["site-01 comes and goes: its connection was lost 5 times within an hour"]


def test_a_site_that_is_gone_and_back_all_day_is_told_once_an_hour(watch: Watch) -> None:
    told: dict[int, list[str]] = {}
    for _ in range(12):
        for on in (False, True):
            watch.world.online["site-01"] = on
            watch.tell(1.0)
            for _ in range(4):
                if lines := watch.tell(5 * MINUTE_S):
                    told.setdefault(int(watch.seconds // 3600), []).extend(lines)
    assert all(len(lines) <= 3 for lines in told.values()), told
    assert 6 <= sum(map(len, told.values())) <= 16


def test_withdrawals_alarms_and_addresses(watch: Watch) -> None:
    watch.world.withdrawn["site-03"] = 2
    assert texts(watch.look()) == [
        ("withdrawn", "study liver: site-03: patients of the study who have withdrawn: 2, 2 of them new")
    ]
    watch.world.alarms["site-03"] = "its audit went back from entry 9 to 4"
    assert texts(watch.look()) == [
        ("alarm", "study liver: site-03 must be looked at: its audit went back from entry 9 to 4")
    ]
    watch.world.alarms.clear()
    assert texts(watch.look()) == [("alarm", "study liver: site-03: the alarm is over")]
    watch.world.moved = ("site-01", "site-02")
    assert texts(watch.look(address="new.example.org:443")) == [
        ("address", "the coordinator's address is new.example.org:443, it was fl.example.org:443"),
        ("address", "these sites dial a former address until they have a new kit: site-01, site-02"),
    ]


HOSTILE = "<script>alert(1)</script>\r\nBcc: eve@example.org\n\x1b[31m\u202eevil\u2028\x00`@all` &amp; " + "x" * 5000
SPOIL: dict[str, Callable[[World], object]] = {
    "trouble": lambda world: setattr(world, "trouble", HOSTILE),
    "refusal": lambda world: world.add_round(refused={"site-01": HOSTILE}),
    "exclusion": lambda world: world.add_round(excluded={"site-01": HOSTILE}),
    "loss": lambda world: world.add_round(lost={"site-01": HOSTILE}),
    "certificate": lambda world: world.days.update({HOSTILE: 3}),
    "end": lambda world: (setattr(world, "phase", "failed"), setattr(world, "cause", HOSTILE)),
    "gone": lambda world: world.online.update({HOSTILE: False}),
    "withdrawn": lambda world: world.withdrawn.update({"site-01": 3}),
    "alarm": lambda world: world.alarms.update({"site-01": HOSTILE}),
    "address": lambda world: setattr(world, "moved", (f"site{HOSTILE}",)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_no_hostile_text_comes_through_any_kind(watch: Watch, kind: str) -> None:
    watch.world.online[HOSTILE] = True
    watch.look()
    SPOIL[kind](watch.world)
    changes = watch.look() + watch.look(20 * MINUTE_S)
    assert {change.kind for change in changes} == {kind}
    message = compose(changes, "lab:abc", 0.0)
    for line in (message.title, *message.lines):
        assert len(line) <= LONGEST + len("lab: ")
        assert line.isprintable()
        assert not set("<>&`") & set(line)


def test_text_of_any_language_stays() -> None:
    assert clean_text("磁盘已满 · déjà vu") == "磁盘已满 · déjà vu"
