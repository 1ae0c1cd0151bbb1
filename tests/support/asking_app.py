"""A coordinator that asks the one node for its name, and writes down what came back."""

from __future__ import annotations

import json
import time
from pathlib import Path

from flwr.app import Context, Message, RecordDict
from flwr.serverapp import Grid, ServerApp

from ceus_models.protocol.flower_records import NAME_QUERY, from_record

app = ServerApp()
_PATIENCE_S = 120.0


@app.main()
def main(grid: Grid, context: Context) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not (nodes := [node.node_id for node in grid.get_nodes()]) and time.monotonic() < end:
        time.sleep(0.5)
    letters = list(grid.push_messages([Message(RecordDict(), node, NAME_QUERY, ttl=60.0) for node in nodes]))
    found: list[Message] = []
    while len(found) < len(letters) and time.monotonic() < end:
        found += grid.pull_messages(letters)
        time.sleep(0.5)
    said = [
        {"code": one.error.code, "reason": one.error.reason}
        if one.has_error()
        else {"name": from_record(one.content).decode()}
        for one in found
    ]
    Path(str(context.run_config["out"])).write_text(json.dumps(said))
