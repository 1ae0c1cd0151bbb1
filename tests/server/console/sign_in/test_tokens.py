"""Wrong tokens wait longer each time, hinder nobody else, and never hold every connection."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from made_console import Desk, empty_desk

import server.console.sign_in.users
from server.console.sign_in.tokens import TokenCheck


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setitem(server.console.sign_in.users._COST, "n", 2)
    return empty_desk(tmp_path)


def test_wrong_tokens_wait_longer_each_time_and_hinder_nobody_else(there: Desk) -> None:
    for _ in range(3):
        assert there.sign_in("coordinator", "wrong").status == 401
        assert there.ask("/metrics", "coordinator:wrong").status == 401
    assert there.waits == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0]
    assert [event["failures"] for event in there.said] == [1, 2, 3, 4, 5, 6]
    assert there.get("/", "researcher").status == 200
    assert there.get("/").status == 200
    there.sign_in("coordinator", "wrong")
    there.ask("/metrics", "secret-in-the-wrong-field:x")
    there.sign_in("secret-in-the-wrong-field", "x")
    assert there.waits[6:] == [0.5, 0.5, 1.0]  # the name that nobody has counts for itself
    assert "secret-in-the-wrong-field" not in json.dumps(there.said)


def test_a_name_that_nobody_has_takes_as_long_as_a_wrong_token(there: Desk) -> None:
    """Also after others were tried: names that nobody has do not wait for each other."""
    for name in ("eve", "mallory", "trudy"):
        there.sign_in(name, "wrong")
    there.waits.clear()
    tries: dict[str, list[float]] = {name: [] for name in ("coordinator", "nobody")}
    for _ in range(5):
        for name, waits in tries.items():
            there.sign_in(name, "wrong")
            waits.append(there.waits.pop())
    assert tries["coordinator"] == tries["nobody"] == [0.5, 1.0, 2.0, 4.0, 8.0]


def test_the_names_that_are_tried_fill_no_memory_and_are_kept_nowhere(
    there: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.console.sign_in.tokens._MOST_NAMES", 3)
    check = TokenCheck(there.made.home, lambda event: None, lambda _: asyncio.sleep(0))

    async def tried() -> None:
        for number in range(5):
            await check.find(f"secret-{number}", "wrong")

    asyncio.run(tried())
    assert len(check._failed) == 3
    assert b"secret" not in repr(check._failed).encode()


def test_wrong_tokens_do_not_hold_every_connection(there: Desk) -> None:
    held = asyncio.Event()

    async def hold(_: float) -> None:
        await held.wait()

    check = TokenCheck(there.made.home, lambda event: None, hold)

    async def tried() -> tuple[int, list[object]]:
        tries = [asyncio.create_task(check.find("coordinator", "wrong")) for _ in range(20)]
        while sum(task.done() for task in tries) < 4:
            await asyncio.sleep(0.01)
        early = sum(task.done() for task in tries)
        held.set()
        return early, list(await asyncio.gather(*tries))

    assert asyncio.run(tried()) == (4, [None] * 20)
