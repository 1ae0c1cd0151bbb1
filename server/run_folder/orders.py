"""The requested and the actual state of a run: two small files shared by the commands and the daemon.

`run` and `stop` write the order; `up` executes it and writes the state. So a run continues without a terminal, and a
command can be repeated after any failure.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from ceus_models.runtime.atomic_files import PUBLIC, write_atomically
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.liveness.moment import Moment
from server.run_folder.paths import StudyFolder

Phase = Literal["none", "waiting", "starting", "running", "stopping", "stopped", "failed", "done"]
FINAL_PHASES: tuple[Phase, ...] = ("stopped", "failed", "done")
"""Final phases: only a new order changes them."""


class Order(BaseModel):
    """An order.

    Args:
        id: of the order to run.
        wanted: run the plan, stop after the current round, or stop at once.
        after: name of a study that must be over before, "" for none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    wanted: Literal["run", "stop", "halt"]
    after: str = ""


class State(BaseModel):
    """The state of an order's run.

    Args:
        cause: why it waits or failed.
        launches: how often it was started.
        at, running, boot: the moment of the last change.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    order: str = ""
    phase: Phase = "none"
    cause: str = ""
    run: int = 0
    launches: int = 0
    at: float = 0.0
    running: float = 0.0
    boot: str = ""

    @property
    def moment(self) -> Moment:
        """When it changed last."""
        return Moment(self.at, self.running, self.boot)


M = TypeVar("M", bound=BaseModel)


def read_order(study: StudyFolder) -> Order | None:
    """Read the latest order; None without one."""
    return _read(study.order, Order)


def read_state(study: StudyFolder) -> State:
    """Read the state of the run, as `up` wrote it last."""
    return _read(study.state, State) or State()


def write_state(study: StudyFolder, state: State) -> None:
    """Write the state of the run."""
    write_atomically(study.state, state.model_dump_json().encode(), PUBLIC)


def order_run(study: StudyFolder, after: str = "") -> Order:
    """Order a run. A run that is ordered already and not over keeps its order.

    Args:
        after: name of a study that must be over before; it stands until the run begins.

    Raises:
        ExpectedError: that study waits for this one.
    """
    _check_no_circle(study, after)
    old = read_order(study)
    if old and old.wanted == "run" and not _is_over(study, old):
        return _write_order(study, old.model_copy(update={"after": after or old.after}))
    return _write_order(study, Order(id=uuid.uuid4().hex, wanted="run", after=after))


def find_predecessor(study: StudyFolder) -> StudyFolder | None:
    """The study that this one waits for, as long as that is under way."""
    order = read_order(study)
    if order is None or not order.after:
        return None
    before = StudyFolder(study.home, order.after)
    return before if is_under_way(before) else None


def _check_no_circle(study: StudyFolder, after: str) -> None:
    before = StudyFolder(study.home, after) if after else None
    while before is not None:
        if before == study:
            raise ExpectedError(
                f"{study.name} cannot wait for {after}, which waits for {study.name} or is the same; leave --after out"
            )
        before = find_predecessor(before)


def order_stop(study: StudyFolder, at_once: bool) -> Order:
    """Order the run to stop, after the current round or at once. Raises ExpectedError if no run is active."""
    old = read_order(study)
    if old is None or _is_over(study, old):
        raise ExpectedError(
            "a run must be active to be stopped, but no run is under way; `ceus-coordinator status` shows how the last "
            "one ended"
        )
    return _write_order(study, Order(id=old.id, wanted="halt" if at_once else "stop"))


def is_under_way(study: StudyFolder) -> bool:
    """Whether a run of it is ordered and not over."""
    order = read_order(study)
    return order is not None and not _is_over(study, order)


def _is_over(study: StudyFolder, order: Order) -> bool:
    state = read_state(study)
    return state.order == order.id and state.phase in FINAL_PHASES


def _write_order(study: StudyFolder, order: Order) -> Order:
    write_atomically(study.order, order.model_dump_json().encode(), PUBLIC)
    return order


def _read(path: Path, kind: type[M]) -> M | None:
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError):
        raise ExpectedError(f"{path} is damaged; delete it: the run continues from its checkpoints") from None
