"""A worker that is killed while it charges: the ledger is whole, and never holds less than what was released."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from client.worker.privacy.budget import BudgetLedger, Charge, Cost


def charge_on(records: Path, first: int, last: int, told: int) -> None:
    """Charge one round after the other, and tell each once its answer could leave."""
    ledger = BudgetLedger(records)
    for number in range(first, last):
        cost = Cost(f"question {number}", "a", ("training_a",), "stage", number, 1, 1e-4, 1e-3)
        ledger.charge(Charge(cost, f"payload {number}"))
        os.write(told, f"{number}\n".encode())


@contextmanager
def charging(records: Path, first: int, last: int) -> Iterator[tuple[int, BinaryIO]]:
    """A forked process that charges, and what it tells."""
    source, sink = os.pipe()
    child = os.fork()
    if not child:
        os.close(source)
        charge_on(records, first, last, sink)
        os._exit(0)
    os.close(sink)
    with os.fdopen(source, "rb") as told:
        yield child, told
    os.waitpid(child, 0)


@pytest.mark.parametrize(("entries", "most"), [(400, 40), pytest.param(10_000, 400, marks=pytest.mark.slow)])
def test_a_killed_ledger_holds_all_that_was_released(tmp_path: Path, entries: int, most: int) -> None:
    chance, released, kills = random.Random(1), 0, 0
    while released < entries:
        with charging(tmp_path, released, entries) as (child, told):
            for _, line in zip(range(chance.randrange(1, most)), told, strict=False):
                released = int(line) + 1
            os.kill(child, signal.SIGKILL)  # it is somewhere within the next charge
            kills += 1
            released = max([released, *(int(line) + 1 for line in told.read().split())])
        held = {charge.cost.round for charge in BudgetLedger(tmp_path).charges()}
        assert set(range(released)) <= held
        assert len(held) <= released + 1
    assert kills > 10
