"""The two-stream net: a ResNet and an LSTM over key frames, the same over optical flow, adaptive weighting of both.

Two streams as in Simonyan and Zisserman 2014, CNN and LSTM as in Donahue et al. 2015, the net of Ding et al. 2025. The
backbones keep torchvision's parameter names, so that ImageNet weights load from a local file. No operation is in place,
so that hooks on activations (per-lesion gradients, Grad-CAM) work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as nnf
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import resnet

from ceus_models.nets.image_stacks import Stack, stack_images
from ceus_models.protocol.messages import Architecture, Normaliser
from ceus_models.runtime.errors import ExpectedError
from ceus_models.study.sample import Sample

# The LSTM also gets each image's brightness in THUMBNAIL x THUMBNAIL cells: a norm over one image removes its
# brightness, and the course of the brightness is the enhancement.
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


def build_group_norm(channels: int) -> nn.Module:
    """GroupNorm of about eight channels a group (Wu & He 2018); it holds no statistics, so it federates."""
    return nn.GroupNorm(max(1, channels // 8), channels)


NORMS: Mapping[str, Callable[[int], nn.Module]] = {"group": build_group_norm, "batch_local": nn.BatchNorm2d}


class Backbone(resnet.ResNet):  # type: ignore[misc]
    """A torchvision ResNet of any depth and width, without the classifier: (b c h w) → (b features)."""

    def __init__(self, depth: int, width: int, channels: int, norm: str) -> None:
        """Build the layers. Raises ExpectedError for an unknown depth or norm."""
        nn.Module.__init__(self)  # ResNet's own constructor fixes 3 channels and width 64
        if depth not in DEPTHS or norm not in NORMS:
            raise ExpectedError(
                f"expected depth {sorted(DEPTHS)} and norm {sorted(NORMS)}, found {depth} and {norm!r}; "
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

    def feature_maps(self, x: Tensor) -> Tensor:
        """Feature maps (b features h/32 w/32) of the last layer before pooling, for images (b c h w)."""
        # the maximum before the ReLU: the same numbers and gradients, of a quarter of the pixels
        x = nnf.relu(nnf.max_pool2d(self.bn1(self.conv1(x)), kernel_size=3, stride=2, padding=1))
        out: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return out

    def forward(self, x: Tensor) -> Tensor:
        """(b c h w) → (b features)."""
        return self.feature_maps(x).mean(dim=(2, 3))


class Branch(nn.Module):
    """Backbone and LSTM of one stream: (b t c h w) → (b summary)."""

    def __init__(self, depth: int, channels: int, architecture: Architecture) -> None:
        """Build a backbone of this depth for images of so many channels, and its LSTM."""
        super().__init__()
        self.backbone = Backbone(depth, architecture.width, channels, architecture.norm)
        inputs = self.backbone.features + channels * THUMBNAIL**2
        self.lstm = nn.LSTM(inputs, architecture.hidden, batch_first=True)
        self.summary = 2 * architecture.hidden

    def forward(self, images: Tensor) -> Tensor:
        """The LSTM's last output and its mean over time, through which early images reach the loss directly."""
        b, t = images.shape[:2]
        flat = images.flatten(0, 1).contiguous(memory_format=torch.channels_last)  # (b·t c h w)
        levels = nnf.adaptive_avg_pool2d(flat, THUMBNAIL).flatten(1)  # (b·t c·16)
        features = torch.cat([self.backbone(flat), levels], dim=1).reshape(b, t, -1)
        outputs, _ = self.lstm(features)  # (b t hidden)
        return torch.cat([outputs[:, -1], outputs.mean(dim=1)], dim=1)


class Output(NamedTuple):
    """Scores of a batch.

    Args:
        spatial: logits (b outputs) of the spatial branch.
        temporal: logits (b outputs) of the temporal branch.
        final: logits (b outputs) of the weighted probability.
        branch_weight: (b heads) weight of the spatial branch in each head, 0-1.
    """

    spatial: Tensor
    temporal: Tensor
    final: Tensor
    branch_weight: Tensor

    @property
    def independent(self) -> bool:
        """Whether each output is a yes or no of its own, in place of a class among others."""
        return self.branch_weight.shape[1] == self.final.shape[1]


class TwoStream(nn.Module):
    """ResNet + LSTM over key frames and over flow maps, three heads (Ding et al., J Hepatol 2025;83:426).

    A binary net has one output, a classifier one a class, a trunk of several binary heads one a head.
    """

    def __init__(self, architecture: Architecture, outputs: int, heads: int = 1) -> None:
        """Build the branches and heads.

        Args:
            architecture: of the branches.
            outputs: logits of a lesion.
            heads: answers, each with a branch weight of its own: 1, or one an output.
        """
        super().__init__()
        self.spatial = Branch(architecture.spatial_depth, 1, architecture)
        self.temporal = Branch(architecture.temporal_depth, 2, architecture)
        self.spatial_head = nn.Linear(self.spatial.summary, outputs)
        self.temporal_head = nn.Linear(self.temporal.summary, outputs)
        self.weighting = nn.Linear(self.spatial.summary + self.temporal.summary, heads)

    def forward(self, frames: Tensor, flow: Tensor) -> Output:
        """Scores from frames (b t 1 h w) and flow (b n 2 h w), both from `prepare_inputs`."""
        return self.score_summaries(self.spatial(frames), self.temporal(flow))

    def score_summaries(self, looks: Tensor, motion: Tensor) -> Output:
        """Scores from the branches' summaries (b summary), by the heads alone."""
        spatial, temporal = self.spatial_head(looks), self.temporal_head(motion)
        gate = self.weighting(torch.cat([looks, motion], dim=1))  # (b heads)
        return Output(spatial, temporal, combine_logits(spatial, temporal, gate), torch.sigmoid(gate))


def combine_logits(spatial: Tensor, temporal: Tensor, gate: Tensor) -> Tensor:
    """Logits of w·p(spatial) + (1-w)·p(temporal) with w = sigmoid(gate): (b k), (b k), (b heads) → (b k).

    Computed in logarithms, so that a confident branch does not underflow. With one gate for k > 1 the outputs are
    classes, and the result is their log-probabilities; with a gate for each output they are independent.

    >>> combine_logits(torch.tensor([[2.0]]), torch.tensor([[2.0]]), torch.tensor([[0.0]]))
    tensor([[2.]])
    """
    to_spatial, to_temporal = nnf.logsigmoid(gate), nnf.logsigmoid(-gate)
    if spatial.shape[1] > gate.shape[1]:
        return torch.logaddexp(
            to_spatial + nnf.log_softmax(spatial, dim=1), to_temporal + nnf.log_softmax(temporal, dim=1)
        )
    yes = torch.logaddexp(to_spatial + nnf.logsigmoid(spatial), to_temporal + nnf.logsigmoid(temporal))
    no = torch.logaddexp(to_spatial + nnf.logsigmoid(-spatial), to_temporal + nnf.logsigmoid(-temporal))
    return yes - no


def prepare_inputs(
    samples: Sequence[Sample], normaliser: Normaliser, device: torch.device, stack: Stack = stack_images
) -> tuple[Tensor, Tensor]:
    """Inputs of TwoStream: frames (b t 1 h w) and flow (b n 2 h w), of about unit variance. stack: of their images."""
    frames, flow = stack(samples, device)
    px = torch.tensor([s.flow_scale for s in samples], dtype=torch.float32, device=device)
    level = (frames.unsqueeze(2).to(torch.float32) / 255 - normaliser.level_mean) / normaliser.level_sd
    return level, flow.to(torch.float32) * (px / normaliser.flow_sd).reshape(-1, 1, 1, 1, 1)


AUGMENT_DRAWS = 6
"""Random numbers a lesion that `augment_images` uses."""

LARGEST_GAIN, LARGEST_OFFSET, LARGEST_SHIFT = 0.3, 0.3, 1 / 16
"""Limits of `augment_images`: log of the gain, offset in standard deviations, shift as a share of the image's side."""


def augment_images(frames: Tensor, flow: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
    """Data augmentation: flip, shift, and change gain and offset of each lesion's images.

    All frames of a lesion are changed alike, so its curve keeps its shape. A shift repeats the image's edge.

    Args:
        frames: (b t 1 h w) from `prepare_inputs`.
        flow: (b n 2 h w) from `prepare_inputs`.
        draws: (b DRAWS) uniform in 0-1: flip across and down (below 0.5), then shift across and down, gain and offset
            from - to + their limit.
    """
    turned, (across, down, gain, offset) = draws[:, :2] < 0.5, (2 * draws[:, 2:] - 1).unbind(1)
    gain, offset = (t.reshape(-1, 1, 1, 1, 1) for t in ((gain * LARGEST_GAIN).exp(), offset * LARGEST_OFFSET))
    # a velocity changes its sign along the flipped axis
    signs = 1 - 2 * turned.to(flow.dtype).reshape(-1, 1, 2, 1, 1)
    return move_maps(frames, turned, across, down) * gain + offset, move_maps(flow, turned, across, down) * signs


def move_maps(maps: Tensor, turned: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """Flip maps (b n c h w) and shift them by whole pixels, repeating the edge.

    Args:
        maps: (b n c h w).
        turned: (b 2) bool, whether to flip across and down, before the shift.
        across: (b) -1 to 1, in units of LARGEST_SHIFT of the width.
        down: (b) the same of the height.
    """
    b, n, c, h, w = maps.shape
    rows, columns = _compute_origins(down, turned[:, 1], h), _compute_origins(across, turned[:, 0], w)
    pixels = (rows[:, :, None] * w + columns[:, None, :]).reshape(b, 1, h * w)
    return maps.reshape(b, n * c, h * w).gather(2, pixels.expand(b, n * c, h * w)).reshape(maps.shape)


def _compute_origins(parts: Tensor, turned: Tensor, side: int) -> Tensor:
    """The source row or column (b side) of each one after a flip, where `turned`, and a shift."""
    pixels = (parts * LARGEST_SHIFT * side).round().long()
    shifted = (torch.arange(side, device=parts.device) - pixels[:, None]).clamp(0, side - 1)
    return torch.where(turned[:, None], side - 1 - shifted, shifted)


def load_imagenet(branch: Branch, path: Path) -> list[str]:
    """Load torchvision's ImageNet weights from a .safetensors file into a backbone, and return the names set.

    The first layer is the mean over the file's RGB channels. Classifier and BatchNorm statistics are left out.

    Raises:
        ExpectedError: the file does not fit the backbone.
    """
    try:
        source = load_file(path)
    except (OSError, SafetensorError):
        raise ExpectedError(
            f"expected a safetensors file, {path} is none; convert the weights with safetensors.torch.save_file"
        ) from None
    target = dict(branch.backbone.named_parameters())
    if "conv1.weight" in source:
        rgb = source["conv1.weight"].mean(dim=1, keepdim=True)
        source["conv1.weight"] = rgb.expand(-1, branch.backbone.conv1.in_channels, -1, -1)
    wrong = [name for name, t in target.items() if name not in source or source[name].shape != t.shape]
    if wrong:
        raise ExpectedError(
            f"expected {wrong[0]} of shape {tuple(target[wrong[0]].shape)}, {path} lacks it or has another shape; give "
            "weights of the plan's depth and width (ImageNet weights have width 64)"
        )
    with torch.no_grad():
        for name, tensor in target.items():
            tensor.copy_(source[name])
    return list(target)


def list_local_names(module: nn.Module) -> frozenset[str]:
    """Names of the BatchNorm parameters and buffers, which stay at the site (FedBN, Li et al. 2021)."""
    return frozenset(
        f"{prefix}.{name}" if prefix else name
        for prefix, layer in module.named_modules()
        if isinstance(layer, nn.BatchNorm2d)
        for name in layer.state_dict()
    )
