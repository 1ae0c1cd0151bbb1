"""The two-stream net: one ResNet over contrast levels, one over flow, an LSTM over each, weighted adaptively.

The backbones keep torchvision's parameter names, so that its ImageNet weights load from a local file. Nothing
works in place, so that hooks on activations (per-lesion gradients, Grad-CAM) see what they expect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as nnf
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import resnet

from ceus_models.protocol.messages import Architecture, Normaliser
from ceus_models.runtime.errors import ExpectedError
from ceus_models.study.sample import Sample

# An image's own values, averaged in THUMBNAIL by THUMBNAIL cells, go to the LSTM beside its features: a norm
# over one image takes its brightness away, and the rise and fall of the brightness *is* the enhancement.
THUMBNAIL = 4


class PlainBasicBlock(resnet.BasicBlock):  # type: ignore[misc]
    """torchvision's BasicBlock without in-place operations; same parameter names."""

    def forward(self, x: Tensor) -> Tensor:
        """(b c h w) → (b planes h/stride w/stride)."""
        out = nnf.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        identity = x if self.downsample is None else self.downsample(x)
        return nnf.relu(out + identity)


class PlainBottleneck(resnet.Bottleneck):  # type: ignore[misc]
    """torchvision's Bottleneck without in-place operations; same parameter names."""

    def forward(self, x: Tensor) -> Tensor:
        """(b c h w) → (b 4·planes h/stride w/stride)."""
        out = nnf.relu(self.bn1(self.conv1(x)))
        out = nnf.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        identity = x if self.downsample is None else self.downsample(x)
        return nnf.relu(out + identity)


# Blocks a layer: He et al. 2016, table 1; depth 10 halves ResNet18.
DEPTHS: Mapping[int, tuple[type[resnet.BasicBlock | resnet.Bottleneck], tuple[int, int, int, int]]] = {
    10: (PlainBasicBlock, (1, 1, 1, 1)),
    18: (PlainBasicBlock, (2, 2, 2, 2)),
    34: (PlainBasicBlock, (3, 4, 6, 3)),
    50: (PlainBottleneck, (3, 4, 6, 3)),
}


def group_norm(channels: int) -> nn.Module:
    """GroupNorm of about eight channels a group (Wu & He 2018); it holds no statistics, so it federates."""
    return nn.GroupNorm(max(1, channels // 8), channels)


NORMS: Mapping[str, Callable[[int], nn.Module]] = {"group": group_norm, "batch_local": nn.BatchNorm2d}


class Backbone(resnet.ResNet):  # type: ignore[misc]
    """A torchvision ResNet of any depth and width, without the classifier: (b c h w) → (b features)."""

    def __init__(self, depth: int, width: int, channels: int, norm: str) -> None:
        """channels: of the images · norm: a name of NORMS."""
        nn.Module.__init__(self)  # ResNet's own constructor fixes 3 channels and width 64
        if depth not in DEPTHS or norm not in NORMS:
            raise ExpectedError(
                f"a backbone has depth {sorted(DEPTHS)} and norm {sorted(NORMS)}, not {depth} and {norm!r}: "
                "change 'architecture' in the plan"
            )
        block, blocks = DEPTHS[depth]
        self._norm_layer = NORMS[norm]
        self.inplanes, self.dilation, self.groups, self.base_width = width, 1, 1, 64
        self.conv1 = nn.Conv2d(channels, width, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = self._norm_layer(width)
        self.layer1 = self._make_layer(block, width, blocks[0])
        self.layer2 = self._make_layer(block, 2 * width, blocks[1], stride=2)
        self.layer3 = self._make_layer(block, 4 * width, blocks[2], stride=2)
        self.layer4 = self._make_layer(block, 8 * width, blocks[3], stride=2)
        self.features = self.inplanes

    def maps(self, x: Tensor) -> Tensor:
        """(b c h w) → the last layer's maps (b features h/32 w/32), before pooling: what Grad-CAM reads."""
        x = nnf.max_pool2d(nnf.relu(self.bn1(self.conv1(x))), kernel_size=3, stride=2, padding=1)
        out: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return out

    def forward(self, x: Tensor) -> Tensor:
        """(b c h w) → (b features)."""
        return self.maps(x).mean(dim=(2, 3))


class Branch(nn.Module):
    """Backbone and LSTM of one stream: (b t c h w) → (b summary)."""

    def __init__(self, depth: int, channels: int, architecture: Architecture) -> None:
        """depth: of the backbone · channels: of the images."""
        super().__init__()
        self.backbone = Backbone(depth, architecture.width, channels, architecture.norm)
        inputs = self.backbone.features + channels * THUMBNAIL**2
        self.lstm = nn.LSTM(inputs, architecture.hidden, batch_first=True)
        self.summary = 2 * architecture.hidden

    def forward(self, images: Tensor) -> Tensor:
        """The LSTM's last output beside its mean over time, by which early images reach the loss directly."""
        b, t = images.shape[:2]
        flat = images.flatten(0, 1).contiguous(memory_format=torch.channels_last)  # (b·t c h w)
        levels = nnf.adaptive_avg_pool2d(flat, THUMBNAIL).flatten(1)  # (b·t c·16)
        features = torch.cat([self.backbone(flat), levels], dim=1).reshape(b, t, -1)
        outputs, _ = self.lstm(features)  # (b t hidden)
        return torch.cat([outputs[:, -1], outputs.mean(dim=1)], dim=1)


class Output(NamedTuple):
    """Scores of a batch.

    spatial, temporal, final (b outputs): logits, final those of the weighted probability · branch_weight (b): the
    spatial branch's share, between 0 and 1.
    """

    spatial: Tensor
    temporal: Tensor
    final: Tensor
    branch_weight: Tensor


class TwoStream(nn.Module):
    """ResNet + LSTM over key frames and over flow maps, three heads (Ding et al., J Hepatol 2025;83:426).

    outputs: 1 for a binary net (a logit), else the number of classes.
    """

    def __init__(self, architecture: Architecture, outputs: int) -> None:
        """outputs: scores a lesion."""
        super().__init__()
        self.spatial = Branch(architecture.spatial_depth, 1, architecture)
        self.temporal = Branch(architecture.temporal_depth, 2, architecture)
        self.spatial_head = nn.Linear(self.spatial.summary, outputs)
        self.temporal_head = nn.Linear(self.temporal.summary, outputs)
        self.weighting = nn.Linear(self.spatial.summary + self.temporal.summary, 1)

    def forward(self, frames: Tensor, flow: Tensor) -> Output:
        """frames (b t 1 h w) and flow (b n 2 h w), both as `prepare` gives them."""
        seen, moved = self.spatial(frames), self.temporal(flow)
        spatial, temporal = self.spatial_head(seen), self.temporal_head(moved)
        gate = self.weighting(torch.cat([seen, moved], dim=1))  # (b 1)
        return Output(spatial, temporal, weighted(spatial, temporal, gate), torch.sigmoid(gate).squeeze(1))


def weighted(spatial: Tensor, temporal: Tensor, gate: Tensor) -> Tensor:
    """Logits of w·p(spatial) + (1-w)·p(temporal) with w = sigmoid(gate): (b k), (b k), (b 1) → (b k).

    Computed in logarithms, so that no confident branch underflows. For k > 1 they are log-probabilities.
    """
    to_spatial, to_temporal = nnf.logsigmoid(gate), nnf.logsigmoid(-gate)
    if spatial.shape[1] > 1:
        return torch.logaddexp(
            to_spatial + nnf.log_softmax(spatial, dim=1), to_temporal + nnf.log_softmax(temporal, dim=1)
        )
    yes = torch.logaddexp(to_spatial + nnf.logsigmoid(spatial), to_temporal + nnf.logsigmoid(temporal))
    no = torch.logaddexp(to_spatial + nnf.logsigmoid(-spatial), to_temporal + nnf.logsigmoid(-temporal))
    return yes - no


def prepare(samples: Sequence[Sample], normaliser: Normaliser, device: torch.device) -> tuple[Tensor, Tensor]:
    """What TwoStream sees of some lesions: frames (b t 1 h w) and flow (b n 2 h w), of about unit variance."""
    frames = torch.from_numpy(np.stack([s.frames for s in samples])).to(device).unsqueeze(2)
    flow = torch.from_numpy(np.stack([s.flow for s in samples])).to(device)
    px = torch.tensor([s.flow_scale for s in samples], dtype=torch.float32, device=device)
    level = (frames.to(torch.float32) / 255 - normaliser.level_mean) / normaliser.level_sd
    return level, flow.to(torch.float32) * (px / normaliser.flow_sd).reshape(-1, 1, 1, 1, 1)


DRAWS = 6
"""How many numbers `augmented` wants of each lesion."""

LARGEST_GAIN, LARGEST_OFFSET, LARGEST_SHIFT = 0.3, 0.3, 1 / 16
"""Of `augmented`: logarithm of the factor on levels, their offset in standard deviations, part of a picture's side."""


def augmented(frames: Tensor, flow: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
    """Other pictures of the same lesions: turned left to right and top to bottom, moved, and of another gain.

    frames (b t 1 h w) and flow (b n 2 h w), as from `prepare` · draws (b DRAWS): uniform in 0-1; two say whether to
    turn (below 0.5), the others stand for -1 to 1 of the largest move across and down, gain and offset. What a move
    brings in repeats the picture's edge. All frames of a lesion are changed alike, so its curve keeps its shape.
    """
    frames, flow = flipped(frames, flow, draws[:, :2] < 0.5)
    across, down, gain, offset = (2 * draws[:, 2:] - 1).unbind(1)
    gain, offset = (t.reshape(-1, 1, 1, 1, 1) for t in ((gain * LARGEST_GAIN).exp(), offset * LARGEST_OFFSET))
    return moved(frames, across, down) * gain + offset, moved(flow, across, down)


def moved(maps: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """Maps (b n c h w) moved by whole pixels; what comes in repeats the edge.

    across, down (b): -1 to 1 of LARGEST_SHIFT of the width and height.
    """
    lesions = torch.arange(len(maps), device=maps.device)
    rows, columns = _origins(down, maps.shape[-2]), _origins(across, maps.shape[-1])
    by_pixel = maps.permute(0, 3, 4, 1, 2)[lesions[:, None, None], rows[:, :, None], columns[:, None, :]]
    return by_pixel.permute(0, 3, 4, 1, 2)


def _origins(parts: Tensor, side: int) -> Tensor:
    """Of each lesion's `side` rows or columns after a move, the one that it was before."""
    pixels = (parts * LARGEST_SHIFT * side).round().long()
    return (torch.arange(side, device=parts.device) - pixels[:, None]).clamp(0, side - 1)


def flipped(frames: Tensor, flow: Tensor, turned: Tensor) -> tuple[Tensor, Tensor]:
    """Frames (b t 1 h w) and flow (b n 2 h w) of each lesion turned left to right and top to bottom as `turned` says.

    turned (b 2), bool: across, down. A velocity changes its sign along the axis that is turned.
    """
    for axis, (dim, signs) in enumerate(((-1, (-1.0, 1.0)), (-2, (1.0, -1.0)))):
        chosen = turned[:, axis].reshape(-1, 1, 1, 1, 1)
        sign = torch.tensor(signs, device=flow.device).reshape(1, 1, 2, 1, 1)
        frames = torch.where(chosen, frames.flip(dim), frames)
        flow = torch.where(chosen, flow.flip(dim) * sign, flow)
    return frames, flow


def load_imagenet(branch: Branch, path: Path) -> list[str]:
    """Put torchvision's ImageNet weights (a .safetensors file) into a branch's backbone; the names set.

    The first layer is the mean over the file's RGB channels. The file's classifier and BatchNorm statistics stay
    out. Raises ExpectedError for a file that does not fit the backbone.
    """
    try:
        source = load_file(path)
    except (OSError, SafetensorError):
        raise ExpectedError(
            f"{path}: not a safetensors file; convert torchvision's weights with safetensors.torch.save_file"
        ) from None
    target = dict(branch.backbone.named_parameters())
    if "conv1.weight" in source:
        rgb = source["conv1.weight"].mean(dim=1, keepdim=True)
        source["conv1.weight"] = rgb.expand(-1, branch.backbone.conv1.in_channels, -1, -1)
    wrong = [name for name, t in target.items() if name not in source or source[name].shape != t.shape]
    if wrong:
        raise ExpectedError(
            f"{path}: {wrong[0]} is missing or of another shape than {tuple(target[wrong[0]].shape)}; "
            "give weights of the plan's depth and width (ImageNet's are of width 64)"
        )
    with torch.no_grad():
        for name, tensor in target.items():
            tensor.copy_(source[name])
    return list(target)


def local_names(module: nn.Module) -> frozenset[str]:
    """Parameters and buffers of BatchNorm layers: they describe one site and stay there (FedBN, Li et al. 2021)."""
    return frozenset(
        f"{prefix}.{name}" if prefix else name
        for prefix, layer in module.named_modules()
        if isinstance(layer, nn.BatchNorm2d)
        for name in layer.state_dict()
    )
