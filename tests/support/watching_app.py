"""A coordinator that asks every node hello again and again, and adds a line for each answer, until told to stop."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flwr.app import Context, Message
from flwr.serverapp import Grid, ServerApp

from ceus_models.protocol.encoding import decode, to_bytes
from ceus_models.protocol.flower_records import TASK_QUERY, from_record, to_record
from ceus_models.protocol.messages import Refusal, Task

app = ServerApp()
_LONGEST_S, _TTL_S, _PAUSE_S = 900.0, 20.0, 0.5


@app.main()
def main(grid: Grid, context: Context) -> None:
    out = Path(str(context.run_config["out"]))
    end, number = time.monotonic() + _LONGEST_S, 0
    while not out.with_suffix(".stop").exists() and time.monotonic() < end:
        number += 1
        hello = to_bytes(Task("hello", str(context.run_config["plan"]), 1, "hello", number))
        for said in _said(grid, hello):
            with out.open("a") as file:
                file.write(json.dumps({"at": time.time(), **said}) + "\n")
        time.sleep(_PAUSE_S)


def _said(grid: Grid, hello: bytes) -> Iterator[dict[str, Any]]:
    nodes = [node.node_id for node in grid.get_nodes()]
    letters = list(grid.push_messages([Message(to_record(hello), node, TASK_QUERY, ttl=_TTL_S) for node in nodes]))
    end, open_letters = time.monotonic() + _TTL_S + 5, set(letters)
    while open_letters and time.monotonic() < end:
        for reply in grid.pull_messages(list(open_letters)):
            open_letters.discard(reply.metadata.reply_to_message_id)
            yield _told(reply)
        time.sleep(_PAUSE_S)


def _told(reply: Message) -> dict[str, Any]:
    if reply.has_error():
        return {"code": reply.error.code, "reason": reply.error.reason}
    answer = decode(from_record(reply.content))
    if isinstance(answer, Refusal):
        return {"refusal": answer.code, "reason": answer.reason}
    return {"update": answer.site, "names": sorted(answer.sums)}  # type: ignore[union-attr]
