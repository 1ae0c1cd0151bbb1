from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest
import torch

from ceus_models.plan.terms.deadlines import Deadlines
from ceus_models.protocol.audit_mark import AuditMark, LastAnswer
from ceus_models.protocol.encoding import decode, to_bytes
from ceus_models.protocol.messages import Refusal, Task, Update
from ceus_models.runtime.errors import ExpectedError
from server.rounds.round import Answer, Lost
from server.transport.audit_watch import AnswerNote
from server.transport.delivery import RetryingLink, RetrySchedule
from server.transport.message_log import compute_digest
from server.transport.node_registry import NodeAddress, Reply

TASK = Task("hello", "study", 1, "hello", 0)
QUICK = Deadlines(gather_s=0.3, first_s=1.0, least_s=0.05, absent_s=0.3, attempts=3)
FAST = RetrySchedule(poll_s=0.01, look_s=0.02, pause_s=0.01)

Behaviour = Callable[[int], bytes | Reply | None]
"""A node's answer to a task by how often it was asked (1, 2 …): bytes, a fault, or None for silence."""


def update(site: str) -> bytes:
    return to_bytes(Update(site, {"x": torch.ones(2)}, 1.0))


def fault(text: str, passing: bool) -> Reply:
    return Reply("", fault=text, passing=passing)


@dataclass
class FakePost:
    """Nodes by number, with name and behaviour. `online` is changed by tests; a node that is not there is silent."""

    members: dict[int, tuple[str, Behaviour]]
    online: set[NodeAddress] = field(default_factory=set)
    boxes: dict[str, Reply] = field(default_factory=dict)
    asked: list[tuple[int, bytes, float]] = field(default_factory=list)
    names_asked: list[int] = field(default_factory=list)
    count: int = 0

    def __post_init__(self) -> None:
        self.online = self.online or {NodeAddress(node, "first") for node in self.members}

    def nodes(self) -> set[NodeAddress]:
        return set(self.online)

    def send(self, data: bytes, group: str, ttl_s: float, nodes: Sequence[int]) -> list[str | None]:
        return [self.post(node, data, ttl_s) for node in nodes]

    def post(self, node: int, data: bytes, ttl_s: float) -> str | None:
        self.asked.append((node, data, ttl_s))
        said = self.members[node][1](sum(one == node for one, _, _ in self.asked))
        return self.box(said)

    def ask_name(self, node: int, ttl_s: float) -> str | None:
        self.names_asked.append(node)
        return self.box(self.members[node][0].encode())

    def box(self, said: bytes | Reply | None) -> str:
        self.count += 1
        letter = f"letter-{self.count}"
        if isinstance(said, bytes):
            self.boxes[letter] = Reply(letter, said)
        elif said is not None:
            self.boxes[letter] = Reply(letter, fault=said.fault, passing=said.passing)
        return letter

    def replies(self, letters: Sequence[str]) -> Iterator[Reply]:
        for letter in letters:
            if letter in self.boxes:
                yield self.boxes.pop(letter)


def good(site: str) -> tuple[str, Behaviour]:
    return site, lambda _: update(site)


@dataclass
class Heard:
    """A witness."""

    said: list[tuple[str, str, str]] = field(default_factory=list)

    def on_sent(self, task: Task, site: str, digest: str, size: int) -> None:
        self.said.append(("sent", site, digest))

    def on_answer(self, task: Task, site: str, data: bytes, seconds: float, note: AnswerNote) -> None:
        self.said.append(("came", site, note.fault or compute_digest(data)))

    def on_late(self, task: Task, site: str, data: bytes, fault: str = "") -> None:
        self.said.append(("late", site, fault or compute_digest(data)))

    def on_lost(self, task: Task, site: str, reason: str) -> None:
        self.said.append(("lost", site, reason))


def opened(post: FakePost, expected: int, heard: Heard | None = None, **changes: float) -> RetryingLink:
    deadlines = Deadlines(**{**vars(QUICK), **changes})  # type: ignore[arg-type]
    return RetryingLink(post, expected, deadlines, heard or Heard(), FAST)


def link_of(post: FakePost, heard: Heard | None = None, **changes: float) -> RetryingLink:
    link = opened(post, len(post.members), heard, **changes)
    link.sites()
    return link


def answers(link: RetryingLink, *sites: str) -> dict[str, Answer]:
    pairs = list(link.ask(TASK, sites))
    assert sorted(site for site, _ in pairs) == sorted(sites), "exactly one answer a site"
    return dict(pairs)


def test_every_site_is_asked_the_task_once_and_answers() -> None:
    post = FakePost({7: good("a"), 8: good("b"), 9: ("c", lambda _: to_bytes(Refusal("c", "no", "policy")))})
    link = link_of(post)
    assert link.sites() == ["a", "b", "c"]
    got = answers(link, "a", "c")
    assert isinstance(got["a"], Update)
    assert got["c"] == Refusal("c", "no", "policy")
    assert sorted(node for node, _, _ in post.asked) == [7, 9]
    sent = decode(post.asked[0][1])
    assert isinstance(sent, Task)
    assert (sent.kind, sent.stage) == ("hello", "hello")
    assert all(0 < ttl <= QUICK.first_s for _, _, ttl in post.asked)


def test_sites_waits_for_the_expected_number_and_no_longer_than_it_may() -> None:
    post = FakePost({7: good("a"), 8: good("b")}, online={NodeAddress(7, "first")})
    begun = time.monotonic()
    link = opened(post, 2)
    assert link.sites() == ["a"]
    assert 0.3 <= time.monotonic() - begun < 1.0
    begun = time.monotonic()
    assert link.sites() == ["a"]
    assert time.monotonic() - begun < 0.25, "the time to gather is granted once, not in every round"
    post.online.add(NodeAddress(8, "first"))
    time.sleep(0.05)
    link.sites()
    assert link.sites() == ["a", "b"], "a late site is found"


def test_no_site_at_all_is_an_error_with_a_remedy() -> None:
    with pytest.raises(ExpectedError, match="no site connected within 0 s; start the sites"):
        opened(FakePost({}), 1).sites()


@pytest.mark.parametrize("name", ["", "x" * 65, "line\nbreak"])
def test_a_name_that_is_none_does_not_become_a_site(name: str) -> None:
    post = FakePost({7: good("a"), 8: (name, lambda _: None)})
    assert opened(post, 2).sites() == ["a"]
    assert post.names_asked == [7, 8], (
        "a node without a name is not asked again at once: every question starts a process"
    )


def test_a_fault_in_passing_is_sent_again_and_another_is_not() -> None:
    post = FakePost(
        {
            7: ("a", lambda n: update("a") if n == 3 else fault("went away", passing=True)),
            8: ("b", lambda n: fault("broken", passing=False)),
            9: ("c", lambda n: fault("went away for good", passing=True)),
        }
    )
    got = answers(link_of(post), "a", "b", "c")
    assert isinstance(got["a"], Update)
    assert got["b"] == Lost("b", "broken")
    assert got["c"] == Lost("c", "went away for good")
    tries = [node for node, _, _ in post.asked]
    assert (tries.count(7), tries.count(8), tries.count(9)) == (3, 1, QUICK.attempts)


def test_a_silent_site_is_lost_at_the_deadline_and_the_others_came_before() -> None:
    post = FakePost({7: good("a"), 8: ("b", lambda _: None)})
    begun = time.monotonic()
    came = [(site, answer, time.monotonic() - begun) for site, answer in link_of(post).ask(TASK, ["a", "b"])]
    assert came[0][0] == "a"
    assert came[0][2] < 0.5
    assert came[1][1] == Lost("b", "it gave no answer within 1 s, its time for this task")
    assert 0.9 < came[1][2] < 2.0


def test_a_node_that_is_started_anew_is_asked_again() -> None:
    post = FakePost({7: ("a", lambda n: update("a") if n == 2 else None)})

    def started_anew(n: int) -> bytes | None:
        post.online = {NodeAddress(7, "second")}
        return update("a") if n == 2 else None

    post.members[7] = ("a", started_anew)
    assert isinstance(answers(link_of(post), "a")["a"], Update)


def test_a_site_that_comes_back_as_another_node_is_asked_there() -> None:
    """An unauthenticated node gets a new number when it is killed and started; the old one stays listed a while."""
    post = FakePost({7: good("a")})

    def dies(_: int) -> None:
        post.members[8] = good("a")
        post.online = {NodeAddress(7, "first"), NodeAddress(8, "second")}

    post.members[7] = ("a", dies)
    assert isinstance(answers(link_of(post), "a")["a"], Update)
    assert [node for node, _, _ in post.asked] == [7, 8]


def test_a_site_that_goes_away_is_given_up_long_before_the_deadline() -> None:
    post = FakePost({7: good("a"), 8: good("b")})
    link = link_of(post, first_s=30.0)
    post.online = {NodeAddress(7, "first")}
    time.sleep(0.05)
    begun = time.monotonic()
    got = answers(link, "a", "b")
    assert got["b"] == Lost("b", "it went away and did not come back within 0 s")
    assert time.monotonic() - begun < 2.0


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"garbage", "its answer cannot be read"),
        (to_bytes(TASK), "its answer must be an answer of"),
        (update("b"), "or of another site"),
        (bytes((16 << 20) + 1), "at most 16777216 bytes for this task"),
    ],
    ids=["garbage", "a task", "another's", "too large"],
)
def test_an_answer_that_is_none_is_lost_with_the_reason(said: bytes, reason: str) -> None:
    got = answers(link_of(FakePost({7: ("a", lambda _: said)})), "a")["a"]
    assert isinstance(got, Lost)
    assert reason in got.reason


def test_a_letter_that_cannot_be_sent_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    post = FakePost({7: good("a")})
    deliver, refusals = post.send, [None, None]

    def send(data: bytes, group: str, ttl_s: float, nodes: Sequence[int]) -> list[str | None]:
        return [refusals.pop()] if refusals else deliver(data, group, ttl_s, nodes)

    monkeypatch.setattr(post, "send", send)
    assert isinstance(answers(link_of(post), "a")["a"], Update)
    assert not refusals


def test_every_letter_and_answer_is_told_by_its_digest() -> None:
    heard = Heard()
    answers(link_of(FakePost({7: good("a"), 8: ("b", lambda _: b"garbage")}), heard), "a", "b")
    sent = compute_digest(to_bytes(TASK))
    assert [one for one in heard.said if one[1] == "a"] == [
        ("sent", "a", sent),
        ("came", "a", compute_digest(update("a"))),
    ]
    assert next(one[2] for one in heard.said if one[:2] == ("came", "b")).startswith("its answer cannot be read")


def test_a_late_answer_is_told_and_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.transport.delivery._LATE_LOOK_S", 0.0)
    heard, post = Heard(), FakePost({7: ("a", lambda _: None), 8: good("b")})
    link = link_of(post, heard, first_s=0.3)
    assert isinstance(answers(link, "a")["a"], Lost)
    post.boxes["letter-3"] = Reply("letter-3", update("a"))  # two names were asked before
    assert list(answers(link, "b")) == ["b"]
    assert ("late", "a", compute_digest(update("a"))) in heard.said


def test_an_answer_that_is_handed_out_twice_is_taken_once() -> None:
    post = FakePost({7: good("a"), 8: good("b")})
    once = post.replies

    def twice(letters: Sequence[str]) -> Iterator[Reply]:
        for reply in once(letters):
            yield reply
            yield reply

    link = link_of(post)
    post.replies = twice  # type: ignore[method-assign]
    assert sorted(answers(link, "a", "b")) == ["a", "b"]


def test_a_node_that_only_looks_online_does_not_hold_up_the_others_for_longer_than_its_own_history() -> None:
    post = FakePost({7: ("a", lambda n: update("a") if n < 3 else None), 8: good("b")})
    link = link_of(post, first_s=30.0)
    for _ in range(2):
        assert isinstance(answers(link, "a")["a"], Update)
    begun = time.monotonic()
    assert isinstance(answers(link, "a", "b")["a"], Lost)
    assert time.monotonic() - begun < 5.0


def test_a_node_is_the_site_that_its_key_was_enrolled_for_whatever_it_says() -> None:
    online = {NodeAddress(7, "first", "a"), NodeAddress(8, "second", "b")}
    post = FakePost({7: good("a"), 8: good("a")}, online=online)  # b's node says that it is a, and came later
    link = link_of(post)
    assert link.sites() == ["a", "b"]
    assert post.names_asked == []
    got = answers(link, "a", "b")
    assert isinstance(got["a"], Update)
    assert isinstance(got["b"], Lost)
    assert "or of another site" in got["b"].reason


def test_a_site_whose_audit_went_back_is_refused_and_is_told_where_it_stood() -> None:
    places = [5, 8, 6, 9]

    def answer(turn: int) -> bytes:
        mark = AuditMark(places[turn - 1], f"{places[turn - 1]:064x}")
        return to_bytes(Update("a", {"x": torch.ones(2)}, 1.0, audit=mark))

    post, heard = FakePost({7: ("a", answer), 8: good("b")}), Heard()
    link = link_of(post, heard)
    got = [answers(link, "a", "b")["a"] for _ in places]
    assert [isinstance(one, Update) for one in got] == [True, True, False, True]
    assert isinstance(got[2], Refusal)
    assert "back from entry 8 to 6" in got[2].reason
    assert ("came", "a", got[2].reason) in heard.said
    sent = [decode(data) for node, data, _ in post.asked if node == 7]
    told = [task.answers.get("a") for task in sent if isinstance(task, Task)]
    assert told == [None, *(LastAnswer(f"{place:064x}") for place in (5, 8, 8))]
    assert all(isinstance(task, Task) and "b" not in task.answers for task in sent)
