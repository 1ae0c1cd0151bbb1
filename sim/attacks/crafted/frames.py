"""One frame of one patient's video, from the change of a convolution.

With a first convolution of zeros every activation is the same for all images, so the gradient of its weights is a
known linear function of the images. The LSTM passes gradients of one frame alone, and class weights of (0, 1) pick
the lone lesion of a type.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as nnf

from ceus_models.nets.factory import build_net
from ceus_models.nets.two_stream import THUMBNAIL, Output, TwoStream
from ceus_models.protocol.messages import LocalRule, Recipe
from ceus_models.protocol.state import add_prefix, select_net
from ceus_models.study.sample import Sample
from ceus_models.study.taxonomy import DISEASE_TYPES
from sim.attacks.coordinator import CuriousCoordinator, Refused
from sim.attacks.facts import Fact, Score

COHORTS = ("training_a", "validation", "external_test_c")
WIDTH = 32
_RULE = LocalRule(epochs=1, batch_size=256, learning_rate=1.0, momentum=0.0)
_OPEN, _SHUT = 20.0, -20.0
_STEEP = 20.0
_HIGH = float(np.tanh(np.tanh(_STEEP)))
"""What an LSTM's unit shows whose cell is as full as one step makes it."""
_SMOOTH = 1e-4
SEEN_DB = 28.0
"""From here on a picture counts as seen."""


@torch.no_grad()
def set_clock(lstm: nn.LSTM, frame: int) -> None:
    """Let the last unit store its input at one frame alone: a pulse moves one unit a frame, and opens its gate.

    frame: from 1; the first one has no pulse before it.
    """
    size = lstm.hidden_size
    reader, started = size - 1, size - 2
    if not 1 <= frame <= size - 3:
        raise ValueError(f"expected a frame from 1 to {size - 3} for {size} hidden units, found {frame}")
    into, again, bias = (lstm.get_parameter(f"{name}_l0") for name in ("weight_ih", "weight_hh", "bias_ih"))
    look = into[2 * size + reader].clone()
    look[-THUMBNAIL * THUMBNAIL :] = 0.0  # the image's own brightness would change how much is stored
    for parameter in lstm.parameters():
        parameter.zero_()
    enter, keep, cell, show = (slice(part * size, (part + 1) * size) for part in range(4))
    bias[enter], bias[keep], bias[show] = _OPEN, _SHUT, _OPEN
    bias[cell][started] = _STEEP  # in view: `started` is high from the first frame on
    bias[cell][0] = _STEEP
    again[cell][0, started] = -2 * _STEEP / _HIGH  # unit 0 is high after the first frame, low after all others
    for unit in range(1, frame):
        again[cell][unit, unit - 1] = _STEEP / _HIGH
    into[cell][reader] = look
    bias[enter][reader] = 3 * _SHUT
    bias[keep][reader] = _OPEN
    again[enter][reader, frame - 1] = 4 * _OPEN / _HIGH


def build_camera(net: str, recipe: Recipe, frame: int, seed: int) -> TwoStream:
    """A two-stream net whose first spatial convolution is zero and whose loss sees one frame."""
    module = build_net(net, recipe, seed)
    if not isinstance(module, TwoStream):
        raise ValueError(f"expected a two-stream net, found {net}")
    with torch.no_grad():
        nn.init.zeros_(module.spatial.backbone.conv1.weight)
        nn.init.ones_(module.spatial.backbone.get_parameter("bn1.bias"))
        set_clock(module.spatial.lstm, frame)
        module.spatial_head.weight.zero_()
        module.spatial_head.weight[:, recipe.architecture.hidden - 1] = 1.0
        for layer in (module.temporal_head, module.weighting):
            layer.weight.zero_()
    return module


def compute_exposure(module: TwoStream, sample_like: tuple[Tensor, Tensor], frame: int) -> npt.NDArray[np.float64]:
    """(width·49, side²): the gradient of the convolution's weights as a linear function of the frame's pixels.

    Computed on black images: what comes back to the convolution is the same for every image.
    """
    frames, flow = (torch.zeros_like(part) for part in sample_like)
    kept: list[Tensor] = []
    conv = module.spatial.backbone.conv1
    with torch.enable_grad():
        handle = conv.register_forward_hook(lambda _m, _i, out: kept.append(out))
        output: Output = module(frames, flow)
        handle.remove()
        loss = sum(nnf.binary_cross_entropy_with_logits(head[:, 0], torch.ones(1)) for head in _heads(output))
        (back,) = torch.autograd.grad(loss, kept[0])  # type: ignore[arg-type]
    at = back[frame].double()  # (c h w) of the chosen frame
    side = frames.shape[-1]
    patches = nnf.unfold(torch.eye(side * side, dtype=torch.float64).reshape(-1, 1, side, side), 7, padding=3, stride=2)
    return np.asarray(torch.einsum("cp,xkp->ckx", at.flatten(1), patches).reshape(-1, side * side).numpy())


def _heads(output: Output) -> Sequence[Tensor]:
    return output.spatial, output.temporal, output.final


def recover_frame(attacker: CuriousCoordinator, width: int = WIDTH) -> list[Fact]:
    """The pixels (0-255) of one frame of the lone lesion of a type. Raises Refused."""
    cohort, kind, lone = choose_lone(attacker)
    net = f"disease/{kind}"
    old = attacker.recipe
    architecture = replace(old.architecture, width=width, hidden=max(32, old.architecture.hidden))
    recipe = replace(old, architecture=architecture, class_weights={net: (0.0, 1.0)})
    frame = lone.frames.shape[0] // 2
    module = build_camera(net, recipe, frame, attacker.seed)
    inputs = add_prefix({name: t.detach().clone().contiguous() for name, t in module.state_dict().items()}, f"{net}|")
    task = attacker.build_task("train", (net,), cohorts=(cohort,), inputs=inputs, rule=_RULE, recipe=recipe)
    sums = select_net(attacker.ask(task), net)
    shape = lone.frames.shape, lone.flow.shape
    black = torch.zeros(1, shape[0][0], 1, *shape[0][1:]), torch.zeros(1, *shape[1])
    exposure = compute_exposure(module, black, frame)
    measured = -sums["spatial.backbone.conv1.weight"].double().numpy().reshape(-1)
    levels = develop(exposure, measured)
    pixels = (levels * old.normaliser.level_sd + old.normaliser.level_mean) * 255
    return [tuple(np.clip(pixels, 0, 255).tolist())]


def develop(exposure: npt.NDArray[np.float64], measured: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The picture that explains the measured change; pixels that it does not depend on are as their neighbours."""
    side = round(exposure.shape[1] ** 0.5)
    step = np.diff(np.eye(side), axis=0)
    smooth = np.concatenate([np.kron(step, np.eye(side)), np.kron(np.eye(side), step)])
    scale = _SMOOTH * np.linalg.norm(exposure) / np.linalg.norm(smooth)
    rows = np.concatenate([exposure, scale * smooth])
    solved, *_ = np.linalg.lstsq(rows, np.concatenate([measured, np.zeros(len(smooth))]), rcond=None)
    return np.asarray(solved)


def list_frame(attacker: CuriousCoordinator) -> list[Fact]:
    """The truth."""
    lone = choose_lone(attacker)[2]
    return [tuple(lone.frames[lone.frames.shape[0] // 2].reshape(-1).astype(float).tolist())]


def judge_frame(claimed: Sequence[Fact], true: Sequence[Fact]) -> Score:
    """Whether the picture is there, by its peak signal-to-noise ratio."""
    if not claimed:
        return Score(0, 1)
    error = float(np.mean((np.array(claimed[0]) - np.array(true[0])) ** 2))
    decibels = 10 * np.log10(255**2 / max(error, 1e-9))
    return Score(int(decibels >= SEEN_DB), 1, f"PSNR {decibels:.0f} dB")


def choose_lone(attacker: CuriousCoordinator) -> tuple[str, str, Sample]:
    """A cohort and a type with one lesion behind an answer. Raises Refused where there is none."""
    for cohort in COHORTS:
        samples = attacker.list_samples(cohort)
        for kind in DISEASE_TYPES:
            own = [sample for sample in samples if sample.label == kind]
            if len(own) == 1:
                return cohort, kind, own[0]
    raise Refused("no_lesions", "no type has a single lesion here")
