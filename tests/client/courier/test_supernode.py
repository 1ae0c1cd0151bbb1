"""A run that ends while its message is on the way to a site leaves no half of it for the runner to wait for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from flwr.app import Context, Message, RecordDict
from flwr.common.constant import Status
from flwr.proto.node_pb2 import Node
from flwr.supercore.fab import Fab
from flwr.supercore.inflatable.inflatable_object import get_object_tree
from flwr.supercore.inflatable.inflatable_protobuf_utils import make_pull_object_fn_protobuf
from flwr.supercore.object_store import ObjectStoreFactory
from flwr.supercore.retry import make_simple_http_retry_invoker
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity
from flwr.supernode.fleet_http_client import FleetHttpClient
from flwr.supernode.nodestate import NodeStateFactory
from flwr.supernode.start_client_internal import _pull_and_store_message

from ceus_models.protocol.flower_records import TASK_QUERY, to_record
from client.courier.supernode import RunOver, record_contact

RUN, NODE = 7, 5


def forbidden(self: object, *, path: str, **call: Any) -> None:
    """What the SuperLink answers once the run is over."""
    request = httpx.Request("POST", f"https://localhost{path}")
    raise httpx.HTTPStatusError("403", request=request, response=httpx.Response(403, text="{}", request=request))


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FleetHttpClient:
    monkeypatch.setattr(FleetHttpClient, "_unary_unary", forbidden)
    kind = record_contact(tmp_path / "contact")
    return object.__new__(kind)


@pytest.fixture
def message(monkeypatch: pytest.MonkeyPatch) -> Message:
    for name in ("_run_id", "_node_id", "_task_id"):
        monkeypatch.setattr(TaskIdentity, name, RUN)
    made = Message(to_record(b"a task"), NODE, TASK_QUERY)
    made.metadata.__dict__["_message_id"] = made.object_id
    return made


def received(client: FleetHttpClient, message: Message) -> tuple[int | None, Any, Any]:
    """Flower's own step of its main loop, with its own state."""
    factory = NodeStateFactory(ObjectStoreFactory())
    state, store = factory.state(), factory.objectstore_factory.store()
    state.set_node_id(NODE)
    run = Run.create_empty(RUN)
    state.store_run(run)
    state.set_run_series_context(run.series_id, Context(RUN, NODE, {}, RecordDict(), {}))
    retry = make_simple_http_retry_invoker()
    done = _pull_and_store_message(
        state=state,
        object_store=store,
        node_config={},
        receive=lambda: (message, get_object_tree(message)),
        get_run=lambda number: run,
        get_fab=lambda digest, number: Fab(digest, b"", {}),
        pull_object=lambda number, one: make_pull_object_fn_protobuf(
            lambda request: retry.invoke(client.PullObject, request), Node(node_id=NODE), number
        )(one),
        confirm_message_received=lambda number, one: None,
        trusted_entities=None,
    )
    return done, state, store


def waiting(state: Any) -> list[Any]:
    """Tasks that a runner would be given."""
    return list(state.get_tasks(statuses=[Status.PENDING]))


def test_the_message_of_a_run_that_is_over_is_dropped(client: FleetHttpClient, message: Message) -> None:
    done, state, store = received(client, message)
    assert done is None
    assert state.get_messages_legacy(is_reply=False) == []
    assert len(store) == 0
    assert not waiting(state)


def test_stock_flower_keeps_half_of_it(
    monkeypatch: pytest.MonkeyPatch, client: FleetHttpClient, message: Message
) -> None:
    """Why `client.courier.supernode` does what it does; when this fails, Flower has mended it."""
    stock = object.__new__(FleetHttpClient)
    done, state, store = received(stock, message)
    assert done is None
    assert len(store) > 0
    assert waiting(state)


def test_other_calls_keep_flowers_own_word(client: FleetHttpClient) -> None:
    with pytest.raises(httpx.HTTPStatusError):
        client.GetRun(None)
    with pytest.raises(RunOver):
        client.ConfirmMessageReceived(None)
