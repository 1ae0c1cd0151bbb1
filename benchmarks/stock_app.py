"""A stock Flower app for benchmarks.messages: rounds of the least message, to clients that import torch, as most do."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

server_app, client_app = ServerApp(), ClientApp()


@server_app.main()
def serve(grid: Grid, context: Context) -> None:
    """Rounds by Flower's own exchange; their seconds go to the file that the run's settings name."""
    settings = context.run_config
    sites, out = int(settings["sites"]), Path(str(settings["out"]))
    end = time.monotonic() + 300
    while len(nodes := list(grid.get_node_ids())) < sites and time.monotonic() < end:
        time.sleep(0.5)
    seconds = []
    for number in range(int(settings["seed"])):
        begun = time.monotonic()
        content = RecordDict({"arrays": ArrayRecord([np.zeros(8, np.float32)])})
        messages = [Message(content, node, "train", group_id=str(number)) for node in nodes]
        replies = list(grid.send_and_receive(messages, timeout=300))
        if len(replies) != sites or any(reply.has_error() for reply in replies):
            raise RuntimeError(f"a benchmark counts all sites, but: {replies}")
        seconds.append(time.monotonic() - begun)
    out.write_text(json.dumps(seconds))


@client_app.train()
def train(message: Message, context: Context) -> Message:
    """The arrays back, doubled by torch: its import is what the message pays for."""
    import torch  # noqa: PLC0415

    arrays = [torch.from_numpy(array).mul(2).numpy() for array in message.content["arrays"].to_numpy_ndarrays()]
    return Message(RecordDict({"arrays": ArrayRecord(arrays)}), reply_to=message)
