"""Six fake sites behind a post that carries real bytes, and the troubles that one of them can have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pytest
import torch

from ceus_models.plan.plan import Plan
from ceus_models.plan.stages import Hello, Statistics
from ceus_models.plan.terms.deadlines import Deadlines
from ceus_models.plan.terms.participation import Quorum
from ceus_models.plan.train_stage import Train
from ceus_models.protocol.encoding import decode, to_bytes
from ceus_models.protocol.messages import Architecture, LocalRule, Refusal, Task, Update
from ceus_models.protocol.state import State
from server.transport.delivery import RetryingLink, RetrySchedule
from server.transport.message_log import MessageLog
from server.transport.node_registry import NodeAddress, Reply
from tests.support.distant_grid import Clock
from tests.support.fake_sites import FakeSite, lesions_of

NET = "disease/HCC"
STAGE, ROUND = "submodels", 2
BAD = "site-04"
NAMES = tuple(f"site-{number:02d}" for number in range(1, 7))
DEADLINES = Deadlines(gather_s=0.2, first_s=0.6, least_s=0.4, absent_s=0.15, attempts=3)
CLOCK = Clock()
"""Of the link under test: a busy machine does not make a site late."""
FAST = RetrySchedule(poll_s=0.004, look_s=0.004, pause_s=0.004)
PLAN = Plan(
    name="faults",
    stages=(
        Hello("hello"),
        Statistics("statistics"),
        Train("train", STAGE, (NET,), ("training_a",), 3, rule=LocalRule(batch_size=8)),
    ),
    quorum=Quorum(0.5),
    architecture=Architecture(spatial_depth=10, temporal_depth=10, width=8, hidden=8),
)


@dataclass
class Post:
    """Nodes by number. `trouble` is asked what becomes of the bad site's answer: (post, task, answer, attempt) to the
    bytes that come, a fault, or None for silence.
    """

    trouble: Callable[[Post, Task, bytes, int], bytes | Reply | None] | None = None
    online: set[NodeAddress] = field(default_factory=set)
    boxes: dict[str, list[Reply]] = field(default_factory=dict)
    sites: dict[int, FakeSite] = field(default_factory=dict)
    attempts: int = 0
    count: int = 0
    earlier: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number, name in enumerate(NAMES, 1):
            self.sites[number] = FakeSite(name, lesions_of(name, {"training_a": 14 + number, "validation": 4}))
            self.online.add(NodeAddress(number, "first", name))

    @property
    def bad(self) -> int:
        return NAMES.index(BAD) + 1

    def nodes(self) -> set[NodeAddress]:
        return set(self.online)

    def move(self, since: str, node: int | None = None) -> None:
        """The bad site's node is started anew, perhaps under another number."""
        number = node or self.bad
        self.sites[number] = self.sites[self.bad]
        self.online = {seat for seat in self.online if seat.node != number} | {NodeAddress(number, since, BAD)}

    def leave(self) -> None:
        self.online = {seat for seat in self.online if seat.site != BAD}

    def send(self, data: bytes, group: str, ttl_s: float, nodes: Sequence[int]) -> list[str | None]:
        task = decode(data)
        assert isinstance(task, Task)
        return [self._post(node, task) for node in nodes]

    def ask_name(self, node: int, ttl_s: float) -> str | None:
        raise AssertionError("the key says who it is")

    def replies(self, letters: Sequence[str]) -> Iterator[Reply]:
        for letter in letters:
            yield from self.boxes.pop(letter, [])

    def _post(self, node: int, task: Task) -> str:
        site = self.sites[node]
        said: bytes | Reply | None = to_bytes(site.answer(task))
        if site.name == BAD and self.trouble and (task.stage, task.round) == (STAGE, ROUND):
            self.attempts += 1
            assert isinstance(said, bytes)
            said = self.trouble(self, task, said, self.attempts)
        elif site.name == BAD and isinstance(said, bytes):
            self.earlier[f"{task.stage}/{task.round}"] = said
        if node not in {seat.node for seat in self.online} and isinstance(said, bytes):
            said = Reply("", fault="its node went away", passing=True)
        self.count += 1
        letter = f"letter-{self.count}"
        if isinstance(said, bytes):
            self.boxes[letter] = [Reply(letter, said)]
        elif said is not None:
            self.boxes[letter] = [replace(said, letter=letter)]
        return letter


def link_of(post: Post, mirror: MessageLog) -> RetryingLink:
    return RetryingLink(post, len(NAMES), DEADLINES, mirror, FAST)


Trouble = Callable[[Post, Task, bytes, int], bytes | Reply | None]


def changed(change: Callable[[dict[str, torch.Tensor]], State], weight: float | None = None) -> Trouble:
    """The honest answer with its sums changed, and perhaps its weight."""

    def trouble(post: Post, task: Task, answer: bytes, attempt: int) -> bytes:
        update = decode(answer)
        assert isinstance(update, Update)
        sums = change({name: tensor.clone() for name, tensor in update.sums.items()})
        return to_bytes(replace(update, sums=sums, weight=update.weight if weight is None else weight))

    return trouble


def refusing(reason: str, code: str = "error") -> Trouble:
    return lambda post, task, answer, attempt: to_bytes(Refusal(BAD, reason, code))  # type: ignore[arg-type]


def fault(text: str, passing: bool, until: int = 10**6) -> Trouble:
    """A fault of Flower's in place of the answer, up to the attempt `until`."""
    return lambda post, task, answer, attempt: Reply("", fault=text, passing=passing) if attempt < until else answer


def silent(post: Post, task: Task, answer: bytes, attempt: int) -> None:
    return None


def goes_away(post: Post, task: Task, answer: bytes, attempt: int) -> Reply:
    post.leave()
    return Reply("", fault="its node went away", passing=True)  # as Flower says when a node's lease has ended


def starts_anew(post: Post, task: Task, answer: bytes, attempt: int) -> bytes | None:
    """Killed with the message in its hands, or in the middle of the upload, and started again by its supervisor."""
    if attempt > 1:
        return answer
    post.move("second")
    return None


def moves(post: Post, task: Task, answer: bytes, attempt: int) -> bytes | None:
    """Killed, and started under another node, while the old one stays listed."""
    if attempt > 1:
        return answer
    post.move("second", node=99)
    return None


def twice(post: Post, task: Task, answer: bytes, attempt: int) -> bytes:
    """The same answer is handed out twice."""
    letter = f"letter-{post.count + 1}"
    post.boxes[letter] = []

    class Twice(dict):  # type: ignore[type-arg]
        def pop(self, key, default=None):  # type: ignore[no-untyped-def]
            found = super().pop(key, default or [])
            return [*found, *found] if key == letter else found

    post.boxes = Twice(post.boxes)
    return answer


def of_an_earlier_round(post: Post, task: Task, answer: bytes, attempt: int) -> bytes:
    return post.earlier[f"{STAGE}/1"]


def _set(name: str, value: float) -> Callable[[dict[str, torch.Tensor]], State]:
    return lambda sums: {**sums, f"{NET}|{name}": torch.full_like(sums[f"{NET}|{name}"], value)}


def _without(sums: dict[str, torch.Tensor]) -> State:
    return {name: t for name, t in sums.items() if name != f"{NET}|bias"}


def _with(name: str, tensor: torch.Tensor) -> Callable[[dict[str, torch.Tensor]], State]:
    return lambda sums: {**sums, f"{NET}|{name}": tensor}


SAME = ""
"""The site is counted after all: the result is that of a run without any trouble."""

TROUBLES: dict[str, tuple[Trouble, str, str]] = {
    "crash before training": (goes_away, "lost", "went away and did not come back"),
    "crash during training": (starts_anew, "counted", SAME),
    "crash after training": (fault("its answer was lost on the way", True, until=2), "counted", SAME),
    "crash in every attempt": (fault("its courier crashed", True), "lost", "its courier crashed"),
    "exception in the worker": (refusing("unexpected KeyError; the site's log says where"), "refused", "unexpected"),
    "exception in the courier": (fault("its courier failed", False), "lost", "its courier failed"),
    "hang": (silent, "lost", "gave no answer within"),
    "garbage": (lambda *_: b"\x00garbage" * 40, "lost", "cannot be read"),
    "NaN": (changed(_set("w", float("nan"))), "excluded", "NaN"),
    "infinity": (changed(_set("w", float("inf"))), "excluded", "infinity"),
    "1e30": (changed(_set("w", 1e30)), "excluded", "change of"),
    "wrong shape": (changed(_with("w", torch.zeros(2, 2))), "excluded", "must be (3, 2)"),
    "missing tensor": (changed(_without), "excluded", "is missing"),
    "extra tensor": (changed(_with("extra", torch.zeros(2))), "excluded", "only tensors of the task"),
    "wrong dtype": (changed(_with("w", torch.zeros(3, 2, dtype=torch.float64))), "excluded", "float32"),
    "negative weight": (changed(_set("#weight", -5.0)), "excluded", "found -5"),
    "zero weight": (changed(_set("#weight", 0.0)), "excluded", "found 0"),
    "huge weight": (changed(_set("#weight", 1e9)), "excluded", "found 1e+09"),
    "huge weight of the answer": (changed(dict, weight=1e9), "excluded", "found 1e+09"),
    "stale kit": (fault("its runner refused the bundle or the run's settings", False), "lost", "refused the bundle"),
    "wrong clock": (goes_away, "lost", "went away"),  # its requests are no longer authenticated, so it goes offline
    "disk full": (refusing("this site cannot write its audit, so nothing leaves"), "refused", "cannot write"),
    "killed mid-upload": (starts_anew, "counted", SAME),
    "duplicate answer": (twice, "counted", SAME),
    "answer to another round": (of_an_earlier_round, "excluded", "to this round's task"),
    "another site's name": (
        lambda post, task, answer, attempt: to_bytes(replace(decode(answer), site="site-01")),  # type: ignore[type-var]
        "lost",
        "or of another site",
    ),
    "a task for an answer": (
        lambda post, task, answer, attempt: to_bytes(task),
        "lost",
        "its answer must be an answer of",
    ),
    "returns under a new address": (moves, "counted", SAME),
}


@contextmanager
def made_up_time() -> Iterator[None]:
    """The link looks at `CLOCK`, which goes only while somebody sleeps."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("server.transport.delivery.time", "server.transport.node_registry.time"):
            patch.setattr(name, CLOCK)
        yield
