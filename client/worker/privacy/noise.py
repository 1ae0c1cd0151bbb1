"""The noise of private training: discrete Gaussian numbers from a key that never leaves the site.

Noise must not come from what the coordinator knows, or it could be taken off again. The same question about the same
data gets the same noise, so that an answer that was lost is sent again and nothing more is learnt; anything else gets
other noise.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import torch
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from torch import Tensor

from ceus_models.protocol.message_ids import ReceivedTask, compute_content_id
from ceus_models.protocol.messages import PrivateRule, Task
from ceus_models.protocol.privacy.discrete_gaussian import draw_noise
from ceus_models.protocol.privacy.gradient_grid import LARGEST, compute_grid_step
from ceus_models.protocol.state import State, add_prefix, concatenate, digest, split_by_net, split_like
from client.worker.privacy.keys import load_key

KEY_NAME = "noise"
_SALT = b"fedceus/noise/1"


def describe_event(task: Task) -> tuple[float, tuple[str, ...]]:
    """What an answer costs a patient: the noise multiplier of the sum over sites of each net, and the nets."""
    return _rule_of(task).noise, task.nets


def add_noise(received: ReceivedTask, sums: State, records: Path) -> dict[str, Tensor]:
    """Sums of patients' gradients with this site's share of the noise, multiples of the grid's step as before.

    Raises OSError where the key cannot be read or made.
    """
    rule, noised = _rule_of(received.task), dict[str, Tensor]()
    secret, question = load_key(records, KEY_NAME), _name_question(received.task, sums)
    for net, total in split_by_net(sums).items():
        count = sum(tensor.numel() for tensor in total.values())
        step = compute_grid_step(rule.clip, count)
        key = HKDF(SHA256(), 32, _SALT, json.dumps([*question, net]).encode()).derive(secret)
        noise = torch.from_numpy(draw_noise(key, rule.noise * rule.clip / rule.sites**0.5 / step, count))
        whole = (concatenate(total.values()).double() / step).round().long() + noise
        noised |= add_prefix(split_like((whole.clamp(-LARGEST, LARGEST) * step).float(), total), f"{net}|")
    return noised


def _name_question(task: Task, sums: State) -> tuple[str, str, str, int]:
    """All that noise depends on, but the net: study, content of the task apart from its session, data, attempt."""
    asked = replace(task, session=None, inputs={n: t for n, t in task.inputs.items() if n.split("|")[0] in task.nets})
    return task.study, compute_content_id(asked)[0], digest(sums), task.attempt


def _rule_of(task: Task) -> PrivateRule:
    """The private rule of a task. Raises ValueError where it has none."""
    if task.rule is None or task.rule.private is None:
        raise ValueError("expected a task with a private rule, found none")
    return task.rule.private
