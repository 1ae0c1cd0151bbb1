"""Digests of what a simulation computes, part by part: `pinned_numbers.py PART...` prints them as JSON.

Run with the variables of `sim.runs.instruction_set`, they shall be the same on every processor.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from sim.runs.instruction_set import unset_pins

if __name__ == "__main__":
    os.environ.update(unset_pins(os.environ))

import torch
from torch import Tensor, nn

from ceus_models.nets.factory import initialise
from ceus_models.nets.two_stream import Backbone
from ceus_models.plan.plan import load_plan
from ceus_models.protocol.state import digest
from client.data.dataset.index import build_index
from client.data.forms.site_config import load_site
from sim.hospital.hospital import write_hospital
from sim.hospital.prepare import draw_center_cases, parse_simulation

SMOKE = Path(__file__).parents[2] / "configs" / "plan.smoke.yaml"
CENTER = 38


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def trained(module: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Weights after three steps from reproducible ones."""
    optimizer = torch.optim.SGD(module.parameters(), lr=0.05, momentum=0.9, fused=True)
    for _ in range(3):
        optimizer.zero_grad()
        out = module(images)
        (out[0] if isinstance(out, tuple) else out).square().mean().backward()
        nn.utils.clip_grad_norm_(module.parameters(), 2.0)
        optimizer.step()
    return module.state_dict()


def filled(module: nn.Module) -> nn.Module:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.2 * drawn(*parameter.shape))
    return module


def convolutions() -> str:
    backbone = Backbone(10, 8, 1, "group")
    initialise(backbone, 1)
    images = drawn(12, 1, 32, 32).contiguous(memory_format=torch.channels_last)
    return digest(trained(backbone.to(memory_format=torch.channels_last), images))


def products() -> str:
    return digest(trained(filled(nn.Sequential(nn.Linear(80, 32), nn.ReLU(), nn.Linear(32, 6))), drawn(8, 80)))


def memories() -> str:
    return digest(trained(filled(nn.LSTM(80, 16, batch_first=True)), drawn(4, 5, 80)))


def functions() -> str:
    x = drawn(1000)
    found = [f(x) for f in (torch.exp, torch.tanh, torch.sigmoid, torch.expm1, nn.functional.logsigmoid)]
    found += [x.abs().log(), torch.log_softmax(x.reshape(100, 10), 1).flatten(), torch.logaddexp(x, -x)]
    return digest({str(place): values for place, values in enumerate(found)})


def lesions() -> str:
    """Files of a phantom hospital and the samples made from them."""
    plan = load_plan(SMOKE)
    simulation = parse_simulation(plan.simulation)
    with tempfile.TemporaryDirectory() as folder:
        site, truth = Path(folder) / "site", Path(folder) / "truth"
        write_hospital(site, truth, CENTER, draw_center_cases(simulation, 1)[CENTER][:2], simulation.phantom, 1)
        build_index(load_site(site), plan.processing)
        made = (path for path in site.rglob("*") if path.suffix in (".avi", ".mp4", ".dcm", ".safetensors"))
        return of_files(made)


def of_files(paths: Iterable[Path]) -> str:
    total = hashlib.sha256()
    for path in sorted(paths):
        total.update(path.read_bytes())
    return total.hexdigest()


PARTS: Mapping[str, Callable[[], str]] = {
    part.__name__: part for part in (convolutions, products, memories, functions, lesions)
}


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps({name: PARTS[name]()[:12] for name in sys.argv[1:] or PARTS}))
