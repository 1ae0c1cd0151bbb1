from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from toy_lesions import lesions, recipe, task, with_submodels

from ceus_models.bundle import ABOUT_FILE, NETS_FILE, Bundle, load_bundle, save_bundle
from ceus_models.failures import ExpectedError
from ceus_models.nets import initial_state
from ceus_models.processing import Processing
from ceus_models.state import digest
from ceus_models.taxonomy import NETS, SUBMODELS, outputs_of
from ceus_models.wire import Architecture, Recipe
from client.inference import frozen_probabilities, probabilities_of
from client.memory import Place, SiteMemory


def bundle(given: Recipe | None = None) -> Bundle:
    given = given or recipe(disease_HCC=(0.5, 2.0))
    nets = {net: initial_state(net, given, 1) for net in NETS}
    return Bundle(nets, given, Processing(size=32), "digest of the plan", {"seed": 1, "sites": ["site-01"]})


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    made = bundle()
    save_bundle(made, tmp_path / "b")
    again = load_bundle(tmp_path / "b")
    assert {net: digest(s) for net, s in again.nets.items()} == {net: digest(s) for net, s in made.nets.items()}
    assert (again.recipe, again.processing, again.plan) == (made.recipe, made.processing, made.plan)
    assert again.provenance == made.provenance
    cases = lesions(3)
    for net in NETS:
        p = again.predict(cases, net)
        assert p.shape == (3, outputs_of(net))
        assert np.array_equal(p, made.predict(cases, net))


def test_a_bundle_says_what_the_site_says(tmp_path: Path) -> None:
    given, cases = recipe(), lesions(4)
    asked = with_submodels(task("evaluate", ("fusion/DCB",), given))
    place = Place("site-01", SiteMemory(tmp_path))
    made = bundle(given)
    assert np.array_equal(made.submodels(cases), frozen_probabilities(asked, cases, place))
    assert np.array_equal(made.predict(cases), probabilities_of("fusion/DCB", asked, cases, place))


def test_batch_norm_takes_the_statistics_of_the_lesions() -> None:
    p = bundle(recipe(Architecture(10, 10, 2, 4, "batch_local"))).predict(lesions(4), "disease/HCC")
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
    with pytest.raises(ExpectedError, match="no bundle"):
        save_bundle(bundle(), tmp_path / "thesis")
    assert (tmp_path / "thesis" / "draft.txt").exists()


def test_a_save_that_is_cut_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_bundle(bundle(), tmp_path / "b")

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ceus_models.bundle._about", cut)
    with pytest.raises(KeyboardInterrupt):
        save_bundle(bundle(), tmp_path / "b")
    monkeypatch.undo()
    assert set(load_bundle(tmp_path / "b").nets) == set(NETS)
    assert [p.name for p in tmp_path.iterdir() if p.name != "home"] == ["b"]


def edited(folder: Path, **changes: object) -> None:
    about = json.loads((folder / ABOUT_FILE).read_text())
    (folder / ABOUT_FILE).write_text(json.dumps({**about, **changes}))


def swapped(folder: Path) -> None:
    tensors = load_file(folder / NETS_FILE)
    tensors["biomarker/CK7|spatial_head.bias"] = torch.full((1,), 9.0)
    save_file(tensors, folder / NETS_FILE)


BREAKS = {
    "CK7 is not the one": swapped,
    "bundle format 2": lambda f: edited(f, format=2),
    "other lesion types": lambda f: edited(f, taxonomy={"lesion_types": ["HCC"]}),
    "not complete": lambda f: edited(f, recipe={"architecture": {}}),
    "processes otherwise": lambda f: edited(f, processing_digest="0"),
    "disagree on net biomarker/CK19": lambda f: edited(f, nets={n: "" for n in NETS if n != "biomarker/CK19"}),
    "missing or damaged": lambda f: (f / NETS_FILE).write_bytes((f / NETS_FILE).read_bytes()[:1000]),
    "missing or no JSON": lambda f: (f / ABOUT_FILE).unlink(),
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


def test_a_net_that_is_not_there() -> None:
    made = bundle()
    only = Bundle({n: made.nets[n] for n in SUBMODELS}, made.recipe, made.processing, "p")
    with pytest.raises(ExpectedError, match="no net fusion/DCB"):
        only.predict(lesions(1))
