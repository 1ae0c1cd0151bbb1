"""Runs what an Architecture can make of oneDNN, to be started under a checker of memory.

`every_convolution.py WIDTHS SIDES IMAGES` (numbers separated by commas) runs each different convolution of backbones of
these widths, over images of these sides (px), so many at once, forward and backward, and compares with torch's own
arithmetic. Then it runs whole nets over images of the smaller sides: a step, Grad-CAM, and the gradient of each image
as opacus takes it. The last line printed is how many convolutions and nets were run.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import torch
from opacus.grad_sample import GradSampleModule
from torch import Tensor, nn
from toy_lesions import lesion, recipe

from ceus_models.nets.gradcam import grad_cam
from ceus_models.nets.two_stream import DEPTHS, NORMS, Backbone, TwoStream
from ceus_models.protocol.messages import Architecture
from ceus_models.study.processing import LEAST_SIDE

CHANNELS_OF_IMAGES = (1, 2)
"""Of frames and of flow."""
DTYPES = [torch.float32] + [torch.bfloat16] * torch.ops.mkldnn._is_mkldnn_bf16_supported()
MOST_PIXELS = 3 * 112**2
"""Of all images together; more says nothing new and takes long."""
MOST_OF_NETS = 33
"""px. Whole nets over larger images take long."""


class Convolution(NamedTuple):
    """inputs, outputs: channels · height, width: of the maps that go in."""

    inputs: int
    outputs: int
    kernel: int
    stride: int
    padding: int
    height: int
    width: int


def convolutions_of(width: int, side: int) -> set[Convolution]:
    """All of the backbones of that width, over images of that side."""
    found = set()

    def note(module: nn.Conv2d, given: tuple[Tensor], _maps: Tensor) -> None:
        (kernel, _), (stride, _), (padding, _) = module.kernel_size, module.stride, module.padding
        shape = (module.in_channels, module.out_channels, kernel, stride, padding)
        found.add(Convolution(*shape, *given[0].shape[2:]))

    for depth, channels in product(DEPTHS, CHANNELS_OF_IMAGES):
        with torch.device("meta"):
            backbone = Backbone(depth, width, channels, "group")
            for module in backbone.modules():
                if isinstance(module, nn.Conv2d):
                    module.register_forward_hook(note)
            backbone(torch.empty(1, channels, side, side))
    return found


def results(shape: Convolution, images: Tensor, weight: Tensor, slope: Tensor) -> list[Tensor]:
    """Maps and gradients of one convolution. slope: the gradient that comes back, as large as the maps."""
    images, weight = images.detach().requires_grad_(), weight.detach().requires_grad_()
    maps = nn.functional.conv2d(images, weight, stride=shape.stride, padding=shape.padding)
    maps.backward(slope)
    assert images.grad is not None
    assert weight.grad is not None
    return [maps.detach().float(), images.grad.float(), weight.grad.float()]


def check(shape: Convolution, count: int, dtype: torch.dtype) -> None:
    """Raises AssertionError where oneDNN's numbers are not torch's."""
    images = torch.randn(count, shape.inputs, shape.height, shape.width).to(dtype)
    weight = torch.randn(shape.outputs, shape.inputs, shape.kernel, shape.kernel).to(dtype)
    slope = torch.randn_like(nn.functional.conv2d(images, weight, stride=shape.stride, padding=shape.padding))
    with torch.backends.mkldnn.flags(enabled=False):  # type: ignore[no-untyped-call]
        expected = results(shape, images.float(), weight.float(), slope.float())
    layout = torch.channels_last
    for repeat in range(3):  # what one pass spoils, the next trips over
        found = results(shape, *(t.contiguous(memory_format=layout) for t in (images, weight, slope)))
        for got, wanted in zip(found, expected, strict=True):
            most = (2e-5 if dtype == torch.float32 else 2e-2) * float(wanted.abs().max())
            error = float((got - wanted).abs().max())
            assert error <= most, f"{shape}, {count} images, {dtype}, pass {repeat}: {error} is above {most}"


def check_net(architecture: Architecture, side: int) -> None:
    """A step of a whole net, Grad-CAM, and gradients of single images."""
    net = TwoStream(architecture, 1).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    for _ in range(2):
        optimizer.zero_grad()
        net(torch.randn(3, 5, 1, side, side), torch.randn(3, 2, 2, side, side)).final.sum().backward()
        optimizer.step()
    grad_cam(net, lesion(1), recipe().normaliser)
    if architecture.norm == "group":  # opacus refuses BatchNorm, which mixes the lesions of a batch
        single = GradSampleModule(net.temporal.backbone.train())
        images = torch.randn(3, 2, side, side).contiguous(memory_format=torch.channels_last)
        single(images.requires_grad_()).sum().backward()
        assert all(p.grad_sample.shape == (3, *p.shape) for p in single.parameters())


def architectures(widths: list[int]) -> Iterator[Architecture]:
    """Every depth and norm, in widths."""
    for width, depth, norm in product(widths, DEPTHS, NORMS):
        shallow = Architecture(width=width, hidden=4, norm=norm)  # type: ignore[arg-type]
        yield dataclasses.replace(shallow, spatial_depth=depth, temporal_depth=depth)


def main(widths: list[int], sides: list[int], images: list[int]) -> tuple[int, int]:
    """How many convolutions and nets were run."""
    cases = {
        (shape, count, dtype)
        for width, side, count, dtype in product(widths, sides, images, DTYPES)
        if count * side**2 <= MOST_PIXELS and (dtype == torch.float32 or side >= LEAST_SIDE)
        for shape in convolutions_of(width, side)
    }
    for shape, count, dtype in sorted(cases, key=str):
        check(shape, count, dtype)
    nets = list(product(architectures(widths), [side for side in sides if side <= MOST_OF_NETS]))
    for architecture, side in nets:
        check_net(architecture, side)
    return len(cases), len(nets)


if __name__ == "__main__":
    torch.manual_seed(1)
    torch.set_num_threads(1)
    widths, sides, images = ([int(number) for number in numbers.split(",")] for numbers in sys.argv[1:])
    print(*main(widths, sides, images))
