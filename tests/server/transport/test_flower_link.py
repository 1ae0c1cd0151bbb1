"""The link through Flower's own types: a grid in this process, with the courier and a real worker behind it."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from flwr.app import Context, Error, Message, RecordDict
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents
from flwr.supercore.task_identity import TaskIdentity

import client.courier.client_app
import client.worker.process
from ceus_models.plan.terms.deadlines import Deadlines
from ceus_models.protocol.messages import Refusal, Task, Update
from ceus_models.runtime.errors import ExpectedError
from server.rounds.round import Lost
from server.transport.delivery import RetrySchedule
from server.transport.flower_link import FlowerTransport, flower_link
from server.transport.message_log import MessageLog

QUICK = Deadlines(gather_s=5.0, first_s=5.0, least_s=0.5, absent_s=0.5, attempts=3)
FAST = RetrySchedule(poll_s=0.01, look_s=0.02, pause_s=0.01)
NET = {"net|w": torch.randn(400_000, generator=torch.Generator().manual_seed(1))}
TASK = Task("train", "study", 1, "submodels", 1, inputs=NET)


@dataclass(frozen=True)
class Doubler:
    name: str

    def handle(self, task: Task) -> Update | Refusal:
        return Update(self.name, {name: 2 * tensor for name, tensor in task.inputs.items()}, 1.0)


@dataclass(frozen=True)
class Node:
    node_id: int
    last_activated_at: str = "first"
    name: str = ""


def over_the_wire(message: Message) -> Message:
    objects = get_all_nested_objects(message)
    back = inflate_object_from_contents(message.object_id, {key: one.deflate() for key, one in objects.items()})
    back.metadata.__dict__["_message_id"] = message.object_id
    assert isinstance(back, Message)
    return back


@dataclass
class FakeGrid:
    """What FlowerTransport uses of a Grid. A message is answered at once by the ClientApp; `errors` go first."""

    configs: dict[int, dict[str, str]]
    folder: Path = Path()
    errors: list[Error] = field(default_factory=list)
    broken: int = 0
    """So many calls raise, as an HTTP 500 does."""
    replies: dict[str, Message] = field(default_factory=dict)

    def get_nodes(self) -> Iterable[Node]:
        self.check()
        return [Node(node) for node in self.configs]

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        self.check()
        return [self.answer(over_the_wire(message)) for message in messages]

    def answer(self, message: Message) -> str:
        sent = message.object_id
        message.metadata.__dict__["_message_id"] = sent
        config = self.configs[message.metadata.dst_node_id]
        context = Context(1, message.metadata.dst_node_id, dict(config), RecordDict(), {})
        if self.errors and message.has_content() and len(message.content):
            self.replies[sent] = Message(self.errors.pop(0), reply_to=message)
        else:
            self.replies[sent] = over_the_wire(client.courier.client_app.app(message, context))
        return sent

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        self.check()
        return [self.replies.pop(one) for one in message_ids if one in self.replies]

    def check(self) -> None:
        if self.broken:
            self.broken -= 1
            raise RuntimeError("500 Internal Server Error")


@pytest.fixture(autouse=True)
def _flower(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_run_id", "_node_id", "_task_id"):
        monkeypatch.setattr(TaskIdentity, name, 1)


@pytest.fixture
def grid() -> Iterator[FakeGrid]:
    """Three sites with a worker each."""
    folder = Path(tempfile.mkdtemp(prefix="ceus-test-"))
    configs = {}
    for number, name in enumerate(("site-03", "site-01", "site-02")):
        path = folder / f"{name}.sock"
        serve = threading.Thread(
            target=client.worker.process.serve,
            args=(path, Doubler(name), client.worker.process.LIMITS, len),
            daemon=True,
        )
        serve.start()
        configs[100 + number] = {"site": name, "socket": str(path)}
        while not path.exists():
            time.sleep(0.01)
    yield FakeGrid(configs, folder)
    shutil.rmtree(folder)


def link_of(grid: FakeGrid):  # type: ignore[no-untyped-def]
    return flower_link(grid, 3, QUICK, MessageLog(grid.folder), FAST)  # type: ignore[arg-type]


def test_tasks_reach_the_right_workers_and_their_answers_come_back_unchanged(grid: FakeGrid) -> None:
    link = link_of(grid)
    assert link.sites() == ["site-01", "site-02", "site-03"]
    answers = dict(link.ask(TASK, ["site-01", "site-03"]))
    assert sorted(answers) == ["site-01", "site-03"]
    for name, answer in answers.items():
        assert isinstance(answer, Update)
        assert answer.site == name
        assert torch.equal(answer.sums["net|w"], 2 * NET["net|w"])


@pytest.mark.parametrize("code", [3, 4, 5, 8, 102])
def test_flowers_passing_errors_are_sent_again(grid: FakeGrid, code: int) -> None:
    link = link_of(grid)
    link.sites()
    grid.errors = [Error(code, "text from the other side")]
    assert isinstance(dict(link.ask(TASK, ["site-02"]))["site-02"], Update)
    assert not grid.errors


@pytest.mark.parametrize("code", [1, 2, 7, 101, 103, 104, 4242])
def test_other_errors_lose_the_site_in_words_of_ours(grid: FakeGrid, code: int) -> None:
    link = link_of(grid)
    link.sites()
    grid.errors = [Error(code, "patient 12345")]
    lost = dict(link.ask(TASK, ["site-02"]))["site-02"]
    assert isinstance(lost, Lost)
    assert lost.reason
    assert "12345" not in lost.reason


def test_a_busy_superlink_is_borne_and_a_dead_one_is_an_error(grid: FakeGrid) -> None:
    link = link_of(grid)
    link.sites()
    grid.broken = 3
    assert len(dict(link.ask(TASK, link.sites()))) == 3
    grid.broken = 10**6
    with pytest.raises(ExpectedError, match="the SuperLink failed 8 times in a row"):
        list(link.ask(TASK, ["site-01"]))


def test_what_a_superlink_would_not_take_is_none(grid: FakeGrid) -> None:
    grid.push_messages = lambda messages: []  # type: ignore[method-assign,assignment]  # its answer to HTTP 413
    assert FlowerTransport(grid, 0.0).send(b"x", "g", 1.0, [100, 101]) == [None, None]  # type: ignore[arg-type]
