"""Flower's own aggregation is the oracle, on the same replies."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import FedAdam as FlowerFedAdam
from flwr.serverapp.strategy import FedAvg as FlowerFedAvg
from flwr.serverapp.strategy import FedAvgM as FlowerFedAvgM
from flwr.serverapp.strategy import FedProx as FlowerFedProx
from flwr.supercore.task_identity import TaskIdentity

from ceus_models.plan.strategies import FedAdam, FedAvg, FedAvgM, FedProx, Strategy
from ceus_models.protocol.messages import LocalRule
from ceus_models.protocol.sums import ExactSum

SHAPES = {"conv": (4, 3, 3), "bias": (4,), "scalar": ()}
NEEDED = {FedProx: {"mu": 0.1}}
STRATEGIES = [strategy(**NEEDED.get(strategy, {})) for strategy in get_args(Strategy)]


@pytest.fixture(autouse=True)
def inside_a_flower_run(monkeypatch):
    """Flower's messages carry the identity of the run that makes them."""
    for name in ("_task_id", "_run_id", "_node_id"):
        monkeypatch.setattr(TaskIdentity, name, 1)


def net(seed, dyadic=False):
    rng = np.random.default_rng(seed)
    draw = (lambda s: rng.integers(-64, 64, s) / 64) if dyadic else (lambda s: rng.normal(size=s))
    return {name: torch.from_numpy(np.asarray(draw(shape), np.float32)) for name, shape in SHAPES.items()}


def near(current, seed):
    """A site's net after a round: the global one, moved by about a hundredth."""
    return {name: t + 0.01 * net(seed)[name] for name, t in current.items()}


def mean_change(current, locals_, weights):
    """As the coordinator takes it: exact sums of weight · change, divided once."""
    total = ExactSum()
    for local, weight in zip(locals_, weights, strict=True):
        total.add({name: weight * (local[name] - current[name]) for name in current})
    return {name: t / sum(weights) for name, t in total.take_float64().items()}


def record(state):
    return ArrayRecord({name: Array(t.numpy()) for name, t in state.items()})


def replies(locals_, weights):
    made = []
    for local, weight in zip(locals_, weights, strict=True):
        content = RecordDict({"arrays": record(local), "metrics": MetricRecord({"num-examples": weight})})
        asked = Message(RecordDict(), dst_node_id=1, message_type="train")
        made.append(Message(content, reply_to=asked))
    return made


def flower_step(strategy, current, locals_, weights, number=1):
    known = {name: t.numpy() for name, t in current.items()}
    strategy.current_arrays = record(current) if isinstance(strategy, FlowerFedAvgM) else known
    arrays, _ = strategy.aggregate_train(number, replies(locals_, weights))
    return {name: torch.from_numpy(np.asarray(array.numpy())) for name, array in arrays.items()}


def ulps(found, other, locals_):
    """Largest difference in units of the last place of the largest weight that a site sent for the tensor."""
    return max(
        float((found[name].double() - other[name].double()).abs().max())
        / float(np.spacing(np.float32(max(float(local[name].abs().max()) for local in locals_))))
        for name in found
    )


@pytest.mark.parametrize(
    ("ours", "theirs"), [(FedAvg(), FlowerFedAvg()), (FedProx(0.1), FlowerFedProx(proximal_mu=0.1))]
)
def test_bit_equal_to_flower_where_its_arithmetic_is_exact(ours, theirs):
    current, locals_, weights = net(0, True), [net(i, True) for i in (1, 2, 3)], [4, 8, 4]
    stepped, memory = ours.step(current, mean_change(current, locals_, weights), {})
    expected = flower_step(theirs, current, locals_, weights)
    assert memory == {}
    assert all(torch.equal(stepped[name], expected[name]) for name in current)


@pytest.mark.parametrize(
    ("ours", "theirs"), [(FedAvg(), FlowerFedAvg()), (FedProx(0.1), FlowerFedProx(proximal_mu=0.1))]
)
def test_within_two_units_of_flower_on_any_numbers_and_one_of_the_truth(ours, theirs):
    weights = [17, 3, 41]
    for seed in range(20):
        current = net(seed)
        locals_ = [near(current, 100 * seed + i) for i in (1, 2, 3)]
        stepped, _ = ours.step(current, mean_change(current, locals_, weights), {})
        truth = {
            name: sum(w * local[name].double() for w, local in zip(weights, locals_, strict=True)) / sum(weights)
            for name in current
        }
        assert ulps(stepped, flower_step(theirs, current, locals_, weights), locals_) <= 2
        assert ulps(stepped, truth, locals_) <= 1


def test_fedadam_is_bit_equal_to_flower_over_rounds_where_the_mean_is_exact():
    ours, theirs, memory = FedAdam(learning_rate=0.05), FlowerFedAdam(eta=0.05), {}
    current = net(0, True)
    for number in range(1, 5):
        # net after net on the grid of 1/64, as if the step were rounded to it: so that Flower's mean stays exact
        locals_, weights = [net(10 * number + i, True) for i in (1, 2, 3)], [2, 4, 2]
        stepped, memory = ours.step(current, mean_change(current, locals_, weights), memory)
        expected = flower_step(theirs, current, locals_, weights, number)
        assert all(torch.equal(stepped[name], expected[name].float()) for name in current)
        current = {name: torch.round(t * 64) / 64 for name, t in stepped.items()}


def test_fedavgm_is_bit_equal_to_flower_over_rounds_where_its_arithmetic_is_exact():
    ours, memory = FedAvgM(momentum=0.5, learning_rate=0.5), {}
    theirs = FlowerFedAvgM(server_momentum=0.5, server_learning_rate=0.5)
    current = net(0, True)
    for number in range(1, 5):
        locals_, weights = [net(10 * number + i, True) for i in (1, 2, 3)], [2, 4, 2]
        stepped, memory = ours.step(current, mean_change(current, locals_, weights), memory)
        expected = flower_step(theirs, current, locals_, weights, number)
        assert all(torch.equal(stepped[name], expected[name].float()) for name in current)
        current = stepped


def test_fedavgm_without_momentum_is_fedavg():
    current, change = net(1), {name: t.double() for name, t in net(2).items()}
    plain, _ = FedAvg().step(current, change, {})
    stepped, _ = FedAvgM(momentum=0.0).step(current, change, {"v|conv": torch.ones(4, 3, 3)})
    assert all(torch.equal(stepped[name], plain[name]) for name in current)


def test_fedadam_differs_from_flower_by_the_rounding_of_its_mean_over_tau():
    weights = [17, 3, 41]
    for seed in range(10):
        ours, theirs, current = FedAdam(), FlowerFedAdam(), net(seed)
        locals_ = [near(current, 100 * seed + i) for i in (1, 2, 3)]
        stepped, _ = ours.step(current, mean_change(current, locals_, weights), {})
        expected = flower_step(theirs, current, locals_, weights)
        rounding = 2 * float(np.spacing(np.float32(max(float(t.abs().max()) for t in current.values()))))
        bound = ours.learning_rate / ours.tau * rounding
        assert all(float((stepped[n] - expected[n]).abs().max()) <= bound for n in current)


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda s: s.name)
def test_every_strategy_learns_from_the_sum_alone(strategy):
    """Sites at a quadratic bowl around 3 send their gradient steps; the net must come near its minimum."""
    current, memory = {"w": torch.zeros(4)}, {}
    for _ in range(100):
        change = {"w": 0.2 * (3.0 - current["w"].double())}
        current, memory = strategy.step(current, change, memory)
    assert strategy.additive
    assert float((current["w"] - 3).abs().max()) < 0.3


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda s: s.name)
def test_a_step_changes_neither_its_net_nor_its_memory(strategy):
    current, change = net(1), {name: t.double() for name, t in net(2).items()}
    _, memory = strategy.step(current, change, {})
    kept = ({n: t.clone() for n, t in current.items()}, {n: t.clone() for n, t in memory.items()})
    strategy.step(current, change, memory)
    assert all(torch.equal(current[n], t) for n, t in kept[0].items())
    assert all(torch.equal(memory[n], t) for n, t in kept[1].items())


def test_fedprox_puts_its_pull_into_the_local_rule():
    assert FedProx(0.3).local(LocalRule()).proximal_mu == 0.3
    assert FedAvg().local(LocalRule(proximal_mu=0.2)).proximal_mu == 0.2


def test_flower_sends_the_same_pull_to_its_clients():
    class Nodes:
        def get_node_ids(self):
            return [1, 2]

    messages = FlowerFedProx(proximal_mu=0.3).configure_train(1, record(net(0)), ConfigRecord(), Nodes())
    assert {m.content["config"]["proximal-mu"] for m in messages} == {FedProx(0.3).local(LocalRule()).proximal_mu}


@pytest.mark.parametrize("settings", [{"learning_rate": 0.0}, {"tau": 0.0}, {"beta1": 1.0}, {"beta2": -0.1}])
def test_numbers_that_cannot_step_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        FedAdam(**settings)


@pytest.mark.parametrize("settings", [{"learning_rate": 0.0}, {"momentum": 1.0}, {"momentum": -0.1}])
def test_a_momentum_that_would_not_end_is_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        FedAvgM(**settings)
