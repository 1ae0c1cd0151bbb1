"""The noise of private training: discrete Gaussian numbers from a key that never leaves the site.

Noise must not come from what the coordinator knows, or it could be taken off again. The same question about the same
data gets the same noise, so that an answer that was lost is sent again and nothing more is learnt; anything else gets
other noise.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from ceus_models.metrics.evaluation_release import evaluation_sensitivity
from ceus_models.protocol.message_ids import ReceivedTask
from ceus_models.protocol.messages import PrivateRule, Task
from ceus_models.protocol.privacy.discrete_gaussian import draw_noise
from ceus_models.protocol.privacy.gradient_grid import LARGEST, compute_grid_step
from ceus_models.protocol.privacy.masks import derive_key
from ceus_models.protocol.state import State, add_prefix, concatenate, digest, split_by_net, split_like
from client.worker.privacy.keys import NOISE, load_key


def add_noise(received: ReceivedTask, sums: State, keys: Path) -> dict[str, Tensor]:
    """Sums of patients' gradients with this site's share of the noise, multiples of the grid's step as before.

    Raises OSError where the key cannot be read or made.
    """
    rule, noised = _rule_of(received.task), dict[str, Tensor]()
    secret, question = load_key(keys, NOISE), _name_question(received, sums)
    for net, total in split_by_net(sums).items():
        count = sum(tensor.numel() for tensor in total.values())
        step = compute_grid_step(rule.clip, count)
        key = derive_key(secret, json.dumps(["noise", *question, net]))
        noise = torch.from_numpy(draw_noise(key, rule.noise * rule.clip / rule.sites**0.5 / step, count))
        whole = (concatenate(total.values()).double() / step).round().long() + noise
        noised |= add_prefix(split_like((whole.clamp(-LARGEST, LARGEST) * step).float(), total), f"{net}|")
    return noised


def add_count_noise(received: ReceivedTask, counts: State, keys: Path) -> dict[str, Tensor]:
    """The tables of an evaluation with this site's share of the noise, in whole lesions.

    Raises OSError where the key cannot be read or made, and ValueError for a task without noise.
    """
    task = received.task
    if task.count_noise is None:
        raise ValueError("expected a task with noise for its tables, found none")
    sigma = task.count_noise.noise * evaluation_sensitivity(task.nets, comparisons=task.comparisons)
    key = derive_key(load_key(keys, NOISE), json.dumps(["counts", *_name_question(received, counts)]))
    total = sum(tensor.numel() for tensor in counts.values())
    noise = torch.from_numpy(draw_noise(key, sigma / task.count_noise.sites**0.5, total))
    flat = concatenate(tensor.long() for tensor in counts.values()) + noise
    return {name: t.to(counts[name].dtype) for name, t in split_like(flat, counts).items()}


def _name_question(received: ReceivedTask, sums: State) -> tuple[str, str, str]:
    """All that noise depends on, but the net: the study, what is asked (the attempt too), and the data."""
    return received.task.study, received.question, digest(sums)


def _rule_of(task: Task) -> PrivateRule:
    """The private rule of a task. Raises ValueError where it has none."""
    if task.rule is None or task.rule.private is None:
        raise ValueError("expected a task with a private rule, found none")
    return task.rule.private
