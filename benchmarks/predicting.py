"""`ceus-site predict` from a lesion's files to its page, over the bare forward pass of the nine nets.

python -m benchmarks.predicting [--repetitions 3] [--frames 1000] [--out FILE]

Nets have random weights: speed does not depend on training. The demo's lesion is a phantom of its plan; the paper's
is a dual view of 600 x 800 with --frames frames, 100 key frames of 112 px and 10 flow maps, ResNet34 and ResNet18 of
width 64. The bundle is saved, verified and read as a user's is; that time stands by itself, since a folder of lesions
pays it once. Start-up of Python and its libraries is left out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.measuring import Times, arguments, busy_ratio, in_turn, publish, ratio
from benchmarks.processing import made, row_of
from ceus_models.bundle.model_bundle import Bundle, load_bundle, save_bundle
from ceus_models.nets.module_cache import build_initial_state, load_net
from ceus_models.nets.two_stream import prepare_inputs as tensors_of
from ceus_models.plan.plan import load_plan
from ceus_models.protocol.messages import Architecture, Normaliser, Recipe
from ceus_models.study.processing import Processing, load_processing
from ceus_models.study.taxonomy import CLINICAL, CLINICAL_NAMES, FUSION_NETS, SUBMODELS
from client.data.forms.site_config import SiteConfig, load_site
from client.data.table.manifest import read_manifest
from client.data.table.rows import Row
from client.predict.predict_folder import answer_lesion, read_lesions
from client.predict.prediction import Lesion
from sim.hospital.prepare import parse_simulation, prepare_hospitals

PLAN = Path(__file__).parent.parent / "configs" / "plan.demo.yaml"
CORES = 2


def main() -> None:
    """Make both lesions and bundles, time each in turn with the bare forward pass, report."""
    given = arguments(__doc__, repetitions=3, frames=1000)
    torch.set_num_threads(CORES)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        rows = [
            timed("demo", *phantom(out / "demo"), given.repetitions, out),
            timed("paper", *dual_view(out / "paper", given.frames), given.repetitions, out),
        ]
    head = ("bundle", "whole, s", "reading, s", "nine nets alone, s", "ratio", "ratio of processor time")
    head += ("whole, s of processor", "loading and verifying, s")
    publish("one lesion from files to page; aims: demo below 3 s, paper below 60 s", head, rows, given.out)


def timed(name: str, site: SiteConfig, row: Row, bundle: Bundle, repetitions: int, out: Path) -> tuple[object, ...]:
    """One row of the table."""
    save_bundle(bundle, out / f"{name}-bundle")
    model = load_bundle(out / f"{name}-bundle")

    def read() -> Lesion:
        ((_, lesion),) = read_lesions([row], site, model.processing, 0)
        if not isinstance(lesion, Lesion):
            raise RuntimeError(str(lesion))
        return lesion

    lesion = read()
    calls: dict[str, Callable[[], object]] = {
        "whole": lambda: answer_lesion(row, read(), model, out / name),
        "reading": read,
        "bare": bare(model, lesion),
        "loading": lambda: load_bundle(out / f"{name}-bundle"),
    }
    in_turn(calls, 1)
    times = in_turn(calls, repetitions)
    whole, alone = times["whole"], times["bare"]
    ratios = (round(ratio(whole, alone), 2), round(busy_ratio(whole, alone), 2))
    return name, whole, times["reading"], alone, *ratios, Times(whole.busy), times["loading"]


def bare(bundle: Bundle, lesion: Lesion) -> Callable[[], object]:
    """Nothing but the nine nets' modules on tensors that are ready; weights stay those of one net."""
    kept = load_net(SUBMODELS[0], bundle.recipe, bundle.nets[SUBMODELS[0]], None, bundle.device)
    frames, flow = tensors_of([lesion.sample], bundle.recipe.normaliser, bundle.device)

    def forward() -> None:
        kept.module.eval()
        with torch.inference_mode():
            for _ in SUBMODELS:
                kept.module(frames, flow)

    return forward


def phantom(folder: Path) -> tuple[SiteConfig, Row, Bundle]:
    """A lesion of the demo's phantom hospitals."""
    plan = load_plan(PLAN)
    section = {**plan.simulation, "centers": [50], "lesions": {"internal_test": 6}}
    hospitals = prepare_hospitals(parse_simulation(section), plan.processing, 1, folder, 1, lambda *_: None)
    site = load_site(next(iter(hospitals.folders.values())))
    return (
        site,
        read_manifest(site).rows[0],
        random_bundle(plan.architecture, load_processing(PLAN), plan.fusion_hidden),
    )


def dual_view(folder: Path, frames: int) -> tuple[SiteConfig, Row, Bundle]:
    """A lesion of the size that scanners export."""
    folder.mkdir()
    path = made(folder, frames)[0]
    return load_site(folder), row_of(path, frames), random_bundle(Architecture(), Processing(), 32)


def random_bundle(architecture: Architecture, processing: Processing, hidden: int) -> Bundle:
    """All 17 clinical variables selected, as the study has them."""
    normaliser = Normaliser(0.25, 0.24, 1.4, (0.5,) * len(CLINICAL), (1.0,) * len(CLINICAL))
    recipe = Recipe(architecture, normaliser, CLINICAL_NAMES, {}, fusion_hidden=hidden)
    nets = {net: build_initial_state(net, recipe, 1) for net in (*SUBMODELS, *FUSION_NETS)}
    return Bundle(nets, recipe, processing, "0" * 64, {"plan": "random weights"})


if __name__ == "__main__":
    main()
