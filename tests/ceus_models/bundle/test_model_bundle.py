from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from toy_lesions import lesions, recipe, task, with_submodels

from ceus_models.bundle.checksums import CHECKSUM_FILE, ChecksumError, write_checksums
from ceus_models.bundle.model_bundle import (
    CARD_FILE,
    FILES,
    METADATA_FILE,
    NETS_FILE,
    STUDY_FILE,
    Bundle,
    load_bundle,
    save_bundle,
)
from ceus_models.metrics.ood import FIGURES, Moments, TrainingFigures
from ceus_models.nets.module_cache import build_initial_state
from ceus_models.protocol.messages import Architecture, Recipe
from ceus_models.protocol.state import digest
from ceus_models.runtime.errors import ExpectedError
from ceus_models.study.processing import Processing
from ceus_models.study.taxonomy import NETS, SUBMODELS, count_outputs
from client.worker.tasks.inference import nets_of
from client.worker.tasks.place import Place
from client.worker.tasks.site_memory import SiteMemory


def bundle(given: Recipe | None = None) -> Bundle:
    given = given or recipe(disease_HCC=(0.5, 2.0))
    nets = {net: build_initial_state(net, given, 1) for net in NETS}
    typical = TrainingFigures(40, {name: Moments(38, 0.5, 0.25) for name in FIGURES})
    about = {"seed": 1, "sites": ["site-01"]}
    study = {"results": {"plan": "a"}, "privacy": {"epsilon": 2.0}}
    return Bundle(nets, given, Processing(size=32), "digest of the plan", about, typical=typical, study=study)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    made = bundle()
    save_bundle(made, tmp_path / "b")
    again = load_bundle(tmp_path / "b")
    assert {net: digest(s) for net, s in again.nets.items()} == {net: digest(s) for net, s in made.nets.items()}
    assert (again.recipe, again.processing, again.plan) == (made.recipe, made.processing, made.plan)
    assert (again.provenance, again.study) == (made.provenance, made.study)
    assert (again.typical, again.thresholds) == (made.typical, made.thresholds)
    assert "ε = 2" in (tmp_path / "b" / CARD_FILE).read_text()
    cases = lesions(3)
    for net in NETS:
        p = again.predict(cases, net)
        assert p.shape == (3, count_outputs(net))
        assert np.array_equal(p, made.predict(cases, net))


def test_a_bundle_says_what_the_site_says(tmp_path: Path) -> None:
    given, cases = recipe(), lesions(4)
    asked = with_submodels(task("evaluate", ("fusion/DCB",), given))
    place = Place("site-01", SiteMemory(tmp_path))
    made = bundle(given)
    assert np.array_equal(made.predict_submodels(cases), nets_of(asked, place).frozen_probabilities(cases))
    assert np.array_equal(made.predict(cases), nets_of(asked, place).probabilities("fusion/DCB", cases))


def test_batch_norm_takes_the_statistics_of_the_lesions() -> None:
    p = bundle(recipe(Architecture(10, 10, 8, 4, "batch_local"))).predict(lesions(4), "disease/HCC")
    assert np.isfinite(p).all()
    assert np.ptp(p) > 0


def test_saving_again_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    save_bundle(bundle(), tmp_path / "b")
    save_bundle(Bundle({"disease/HCC": bundle().nets["disease/HCC"]}, recipe(), Processing(), "p"), tmp_path / "b")
    assert set(load_bundle(tmp_path / "b").nets) == {"disease/HCC"}
    assert [p.name for p in tmp_path.iterdir() if p.name != "home"] == ["b"]


def test_saving_never_replaces_what_is_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "draft.txt").write_text("years of work")
    with pytest.raises(ExpectedError, match="expected a new folder or a bundle"):
        save_bundle(bundle(), tmp_path / "thesis")
    assert (tmp_path / "thesis" / "draft.txt").exists()


def test_a_save_that_is_cut_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_bundle(bundle(), tmp_path / "b")

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ceus_models.bundle.model_bundle._build_metadata", cut)
    with pytest.raises(KeyboardInterrupt):
        save_bundle(bundle(), tmp_path / "b")
    monkeypatch.undo()
    assert set(load_bundle(tmp_path / "b").nets) == set(NETS)
    assert [p.name for p in tmp_path.iterdir() if p.name != "home"] == ["b"]


def edited(folder: Path, **changes: object) -> None:
    """What another version, or a forger, would write: the seal fits."""
    about = json.loads((folder / METADATA_FILE).read_text())
    (folder / METADATA_FILE).write_text(json.dumps({**about, **changes}))
    write_checksums(folder, FILES)


def narrow(folder: Path) -> None:
    """A net of a width that an older version took."""
    recipe = json.loads((folder / METADATA_FILE).read_text())["recipe"]
    edited(folder, recipe=recipe | {"architecture": recipe["architecture"] | {"width": 4}})


def older(folder: Path) -> None:
    edited(folder, format=1)
    for name in (CHECKSUM_FILE, STUDY_FILE, CARD_FILE):
        (folder / name).unlink()


def cut(folder: Path) -> None:
    (folder / NETS_FILE).write_bytes((folder / NETS_FILE).read_bytes()[:1000])


def swapped(folder: Path) -> None:
    tensors = load_file(folder / NETS_FILE)
    tensors["biomarker/CK7|spatial_head.bias"] = torch.full((1,), 9.0)
    save_file(tensors, folder / NETS_FILE)


BREAKS = {
    "nets.safetensors is altered.*net biomarker/CK7 is not the one": swapped,
    "expected bundle format 2.*has 3": lambda f: edited(f, format=3),
    "has 1; export the bundle again": older,
    "incomplete": lambda f: edited(f, thresholds={"disease/HCC": 1.5}),
    "expected the lesion types": lambda f: edited(f, taxonomy={"lesion_types": ["HCC"]}),
    "is incomplete": lambda f: edited(f, recipe={"architecture": {}}),
    "bundle.json is incomplete .architecture.width: width must be a multiple of 8, not 4": narrow,
    "expected the processing settings": lambda f: edited(f, processing_digest="0"),
    "disagree on net biomarker/CK19": lambda f: edited(f, nets={n: "" for n in NETS if n != "biomarker/CK19"}),
    "nets.safetensors is altered": cut,
    "missing or damaged": lambda f: (cut(f), write_checksums(f, FILES)),
    "bundle.json is missing": lambda f: (f / METADATA_FILE).unlink(),
    "SHA256SUMS is missing": lambda f: (f / CHECKSUM_FILE).unlink(),
    "bundle.json is altered, study.json is missing": lambda f: (
        (f / METADATA_FILE).write_text("{}"),
        (f / STUDY_FILE).unlink(),
    ),
    "is no folder": shutil.rmtree,
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "b"
    save_bundle(bundle(), folder)
    return folder


@pytest.mark.parametrize("text", BREAKS)
def test_a_broken_bundle_does_not_open(text: str, saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved, tmp_path / "b")
    BREAKS[text](tmp_path / "b")
    with pytest.raises(ExpectedError, match=text):
        load_bundle(tmp_path / "b")


def test_every_byte_of_every_file_counts(saved: Path, tmp_path: Path) -> None:
    """A byte that is altered, lost or put in, at hundreds of places: never opened, and the right file is named."""
    shutil.copytree(saved, tmp_path / "b")
    rng = np.random.default_rng(5)
    for name in (*FILES, CHECKSUM_FILE):
        path = tmp_path / "b" / name
        whole = path.read_bytes()
        ends = [0, len(whole) - 1]
        for place in [*ends, *rng.integers(0, len(whole), 30).tolist()]:
            other = bytes([whole[place] ^ int(rng.integers(1, 256))])
            for spoilt in (other, b"", whole[place : place + 1] * 2):
                path.write_bytes(whole[:place] + spoilt + whole[place + 1 :])
                with pytest.raises(ChecksumError, match=f"{name} is altered") as caught:
                    load_bundle(tmp_path / "b")
                assert caught.value.files == (name,)
        path.write_bytes(whole)
    assert set(load_bundle(tmp_path / "b").nets) == set(NETS)


def test_the_fingerprint_is_that_of_the_list(saved: Path) -> None:
    assert load_bundle(saved).fingerprint == hashlib.sha256((saved / CHECKSUM_FILE).read_bytes()).hexdigest()
    if shutil.which("sha256sum"):
        subprocess.run(["sha256sum", "--check", "--strict", CHECKSUM_FILE], cwd=saved, check=True, capture_output=True)


def test_a_net_that_is_not_there() -> None:
    made = bundle()
    only = Bundle({n: made.nets[n] for n in SUBMODELS}, made.recipe, made.processing, "p")
    with pytest.raises(ExpectedError, match="found fusion/DCB; choose one of"):
        only.predict(lesions(1))


@pytest.mark.parametrize("name", [METADATA_FILE, STUDY_FILE])
def test_a_bundle_that_a_terminal_would_obey_is_not_opened(tmp_path: Path, name: str) -> None:
    save_bundle(bundle(), tmp_path / "b")
    path = tmp_path / "b" / name
    document = json.loads(path.read_text(encoding="utf-8"))
    part = document["provenance"] if name == METADATA_FILE else document
    part["made\x1b[2J"] = "a"
    path.write_text(json.dumps(document), encoding="utf-8")
    write_checksums(tmp_path / "b", FILES)
    with pytest.raises(ExpectedError, match="holds control characters"):
        load_bundle(tmp_path / "b")
