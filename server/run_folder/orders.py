"""What is wanted of a run, and how it stands: two small files between the commands and the daemon that obeys them.

`run` and `stop` write the order; `up` reads it, does it, and writes the state. So a run goes on without anybody who
looks at it, and the same command does the same after whatever ended the one before.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from ceus_models.runtime.atomic_files import PUBLIC, write_whole
from ceus_models.runtime.errors import ExpectedError
from server.run_folder.paths import Home

Phase = Literal["none", "waiting", "starting", "running", "stopping", "stopped", "failed", "done"]
OVER: tuple[Phase, ...] = ("stopped", "failed", "done")
"""A run that is over changes only by a new order."""


class Order(BaseModel):
    """wanted: run the plan, stop after the round under way, or stop at once. id: of the order to run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    wanted: Literal["run", "stop", "halt"]


class State(BaseModel):
    """How the run of an order stands. cause: why it waits or failed · launches: how often it was started ·
    at: of the last change, seconds since 1970."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    order: str = ""
    phase: Phase = "none"
    cause: str = ""
    run: int = 0
    launches: int = 0
    at: float = 0.0


M = TypeVar("M", bound=BaseModel)


def read_order(home: Home) -> Order | None:
    """The latest order; None where there is none."""
    return _read(home.order, Order)


def read_state(home: Home) -> State:
    """How the run stands, as `up` said last."""
    return _read(home.state, State) or State()


def write_state(home: Home, state: State) -> None:
    """Say how the run stands."""
    write_whole(home.state, state.model_dump_json().encode(), PUBLIC)


def order_run(home: Home) -> Order:
    """Want a run. One that is wanted already, and not over, keeps its order: whoever asks again only looks on."""
    old = read_order(home)
    order = old if old and old.wanted == "run" and not _is_over(home, old) else Order(id=uuid.uuid4().hex, wanted="run")
    return _given(home, order)


def order_end(home: Home, at_once: bool) -> Order:
    """Want the run to end, after the round under way or at once. Raises ExpectedError if none is under way."""
    old = read_order(home)
    if old is None or _is_over(home, old):
        raise ExpectedError("no run is under way here; `ceus-coordinator status` shows how the last one ended")
    return _given(home, Order(id=old.id, wanted="halt" if at_once else "stop"))


def _is_over(home: Home, order: Order) -> bool:
    state = read_state(home)
    return state.order == order.id and state.phase in OVER


def _given(home: Home, order: Order) -> Order:
    write_whole(home.order, order.model_dump_json().encode(), PUBLIC)
    return order


def _read(path: Path, kind: type[M]) -> M | None:
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError):
        raise ExpectedError(f"{path} is damaged; delete it: the run goes on from its checkpoints") from None
