"""The client of the link benchmark as a ClientApp: the arrays in, the site's answer, the new weights out.

In a module of its own, so that Ray's actors import it and keep what they opened: what is pickled with the main module
would start anew at every call.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from benchmarks.measuring import quiet
from ceus_models.protocol.messages import Task, Update
from client.worker.site.site import Site
from tests.support.clients import NET, Nudging, Opener, names_of, task_of

CASE = os.environ.get("FEDCEUS_BENCH_CASE", "link")
FOLDER = Path(os.environ.get("FEDCEUS_BENCH_FOLDER", "."))
client_app = ClientApp()
_open: dict[str, Site | Nudging] = {}
_asked: list[Task] = []


@client_app.train()
def train(message: Message, context: Context) -> Message:
    """One site's training, of the node's number."""
    quiet()
    name = names_of(int(context.node_config["num-partitions"]))[int(context.node_config["partition-id"])]
    if not _asked:
        _asked.append(replace(task_of(CASE), inputs={}))  # type: ignore[arg-type]
    if name not in _open:
        _open[name] = Opener(CASE, FOLDER)(name)  # type: ignore[arg-type]
    start = message.content["arrays"].to_torch_state_dict()
    answer = _open[name].handle(replace(_asked[0], inputs=start, round=int(message.content["config"]["server-round"])))
    if not isinstance(answer, Update):
        raise RuntimeError(f"a benchmark counts all sites, but: {answer}")
    weight = float(answer.sums[f"{NET[CASE]}|#weight"])
    new = {key: tensor + answer.sums[key].div_(weight) for key, tensor in start.items()}
    content = RecordDict(
        {"arrays": ArrayRecord(new), "metrics": MetricRecord({"num-examples": weight, "train_loss": 0.0})}
    )
    return Message(content, reply_to=message)
