"""Eight answers of one bad site in three: what stock Flower's strategies make of them, and what the coordinator does.

Flower's strategies are called directly, on the messages that a ServerApp would get. Run: `python -m
benchmarks.bad_updates`; a few seconds, and the same every time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from unittest.mock import patch

import numpy as np
import torch
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import FedAvg, FedMedian
from flwr.supercore.task_identity import TaskIdentity

from ceus_models.plan.terms.settings import Screening
from ceus_models.protocol.messages import LocalRule, Task, Update
from ceus_models.protocol.state import State
from ceus_models.protocol.task_id import compute_task_id
from server.rounds.round import Call, gather_answers
from server.rounds.screening import Gate

NET, BAD, COHORT = "disease/HCC", "site-03", "training_a"
GLOBAL = {"w": torch.ones(3, 2), "b": torch.ones(2)}
STEP = 0.01
HELD = {COHORT: 10}


@dataclass(frozen=True)
class Case:
    """name · spoil: the bad site's weights and its number of examples, from the honest ones · median: Flower's median
    in place of its mean · counter: nets have an integer buffer, and nobody is bad.
    """

    name: str
    spoil: Callable[[dict[str, torch.Tensor]], tuple[State, float]]
    median: bool = False
    counter: bool = False


CASES = (
    Case("NaN weights", lambda net: ({**net, "w": net["w"] * float("nan")}, 10)),
    Case("weights of 1e30", lambda net: ({**net, "w": torch.full((3, 2), 1e30)}, 10)),
    Case("one parameter missing", lambda net: ({"w": net["w"]}, 10)),
    Case("wrong shape", lambda net: ({**net, "w": torch.ones(4, 2)}, 10)),
    Case("1e9 examples", lambda net: ({name: t + 4 for name, t in net.items()}, 10**9)),
    Case("-5 examples", lambda net: ({name: t + 4 for name, t in net.items()}, -5)),
    Case("integer counter 7, 8 and 8", lambda net: (net, 10), counter=True),
    Case("NaN weights, median", lambda net: ({**net, "w": net["w"] * float("nan")}, 10), median=True),
)


def stock(case: Case) -> str:
    """What Flower's own strategy does."""
    states = [_honest(), _honest(), case.spoil(_honest()[0])]
    messages = []
    with patch.multiple(TaskIdentity, _task_id=1, _run_id=1, _node_id=1):
        for number, (state, examples) in enumerate(states):
            arrays = {name: Array(t.numpy()) for name, t in state.items()}
            if case.counter:
                arrays["counter"] = Array(np.array(7 + min(number, 1), np.int64))
            content = RecordDict({"arrays": ArrayRecord(arrays), "m": MetricRecord({"num-examples": int(examples)})})
            messages.append(Message(content, reply_to=Message(RecordDict(), dst_node_id=1, message_type="train")))
        try:
            found, _ = (FedMedian() if case.median else FedAvg()).aggregate_train(1, messages)
        except BaseException as error:  # its InconsistentMessageReplies ends the whole ServerApp
            return f"the run dies: {type(error).__name__}"
    assert found is not None
    net = {name: array.numpy() for name, array in found.items()}
    if case.counter:
        return f"the counter becomes {net['counter'].dtype} {float(net['counter']):.3g}"
    return f"accepted: the net's first weight becomes {float(net['w'].flat[0]):.3g}"


def ours(case: Case) -> str:
    """What the coordinator's gate and sum do."""
    task = Task(
        "train",
        study="s",
        seed=1,
        stage="submodels",
        round=1,
        nets=(NET,),
        cohorts=(COHORT,),
        inputs={f"{NET}|{name}": t for name, t in GLOBAL.items()},
        rule=LocalRule(batch_size=8),
    )
    sites = ("site-01", "site-02", BAD)
    gate = Gate(task, Screening(), dict.fromkeys(sites, HELD), {NET: STEP}, len(sites))
    call = Call(task, gate, sites, lambda task, update: update.sums, dict, lambda site, fate, reason: None)
    total, record = gather_answers(_Link(case), call)
    net = float(total[f"{NET}|w"].flatten()[0] / total[f"{NET}|#weight"]) + 1.0
    out = "; ".join(f"{site} excluded: {reason}" for site, reason in record.excluded.items()) or "nobody excluded"
    return f"{out}; the net's first weight becomes {net:.3g}"


@dataclass(frozen=True)
class _Link:
    case: Case

    def sites(self) -> Sequence[str]:
        return ("site-01", "site-02", BAD)

    def ask(self, task: Task, sites: Sequence[str]) -> Iterator[tuple[str, Update]]:
        for site in sites:
            state, examples = self.case.spoil(_honest()[0]) if site == BAD else _honest()
            sums = {f"{NET}|{name}": _change(name, t, examples) for name, t in state.items()}
            if self.case.counter and site == BAD:
                sums[f"{NET}|counter"] = torch.tensor(8)
            weight = torch.tensor(float(examples), dtype=torch.float64)
            sums |= {f"{NET}|#weight": weight, f"{NET}|#loss": torch.tensor(1.0, dtype=torch.float64)}
            yield site, Update(site, sums, float(examples), task=compute_task_id(task))


def _change(name: str, tensor: torch.Tensor, examples: float) -> torch.Tensor:
    """weight · (local − global), as a site sends it."""
    known = GLOBAL[name]
    return examples * (tensor - (known if known.shape == tensor.shape else 0.0))


def _honest() -> tuple[dict[str, torch.Tensor], float]:
    return {name: t + STEP for name, t in GLOBAL.items()}, 10


def compared() -> Mapping[str, tuple[str, str]]:
    """By case: what Flower does, and what we do."""
    return {case.name: (stock(case), ours(case)) for case in CASES}


def main() -> None:
    print("| one site of three sends | stock Flower 1.41 | fedceus |\n|---|---|---|")
    for name, (flower, mine) in compared().items():
        print(f"| {name} | {flower} | {mine} |")


if __name__ == "__main__":
    main()
