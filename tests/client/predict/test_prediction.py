"""What is said of one lesion: the same numbers as the bundle's, why OT is named, and what a reader is warned of."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
from made_bundle import CEUS, PROCESSING, RECIPE, made_bundle
from pydicom.data import get_testdata_file
from small_hospital import SmallHospital

from ceus_models.bundle.model_bundle import Bundle
from ceus_models.bundle.model_card import RESEARCH_ONLY
from ceus_models.nets.gradcam import grad_cam
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.language.reader_language import speaking
from ceus_models.study.taxonomy import CLINICAL_NAMES, FUSION_NETS, LESION_TYPES, SUBMODELS
from client.data.analysis.pipeline import build_doubtful_sample, build_sample
from client.data.forms.site_config import load_site
from client.data.table.manifest import read_manifest
from client.predict.answer_view import build_answer_view, explain_other
from client.predict.as_json import build_document, encode_document
from client.predict.cautions import Caution, list_cautions
from client.predict.html_page import render_page
from client.predict.pdf_sheet import render_sheet
from client.predict.pictures import draw_pictures
from client.predict.prediction import Lesion, NetAnswer, Prediction, predict
from client.translation.language import load_language
from tests.client.data.analysis.test_pipeline import circle, row_of

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture(scope="module")
def lesion(tmp_path_factory: pytest.TempPathFactory) -> Lesion:
    hospital = SmallHospital(tmp_path_factory.mktemp("hospital"), 1)
    hospital.rows[0] |= {"age": "61", "sex": "male", "AFP": "35", "lesion_id": "WANG-LI-77", "patient_id": "ZHANG-99"}
    site = load_site(hospital.write())
    manifest = read_manifest(site, unseen=True)
    (row,), faults = manifest.rows, list(manifest.faults)
    assert not faults
    return Lesion(row.line, *build_doubtful_sample(row, site, PROCESSING))


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return made_bundle()


@pytest.fixture(scope="module")
def prediction(lesion: Lesion, bundle: Bundle) -> Prediction:
    return predict(lesion, bundle)


def test_the_numbers_are_the_bundles(prediction: Prediction, lesion: Lesion, bundle: Bundle) -> None:
    assert list(prediction.probabilities.values()) == bundle.predict([lesion.sample])[0].tolist()
    assert [net.probability for net in prediction.nets] == pytest.approx(
        bundle.predict_submodels([lesion.sample])[0], abs=1e-7
    )
    assert prediction.model == "fusion/DCB"
    assert prediction.answer == LESION_TYPES[int(np.argmax(list(prediction.probabilities.values())))]
    for net in prediction.nets:  # the weighted mean of the branches
        mixed = net.spatial_weight * net.spatial + (1 - net.spatial_weight) * net.temporal
        assert net.probability == pytest.approx(mixed, abs=1e-5)
    assert len({round(net.spatial_weight, 3) for net in prediction.nets}) > 1


def test_the_heads_of_a_trunk_are_asked_and_explained_as_nets_of_their_own(lesion: Lesion) -> None:
    bundle = made_bundle(sharing="trunk")
    assert set(bundle.nets) == {"trunk", *FUSION_NETS}
    found = predict(lesion, bundle)
    assert list(found.probabilities.values()) == bundle.predict([lesion.sample])[0].tolist()
    assert [net.net for net in found.nets] == list(SUBMODELS)
    for net in found.nets:
        mixed = net.spatial_weight * net.spatial + (1 - net.spatial_weight) * net.temporal
        assert net.probability == pytest.approx(mixed, abs=1e-5)
        assert net.probability == pytest.approx(bundle.predict([lesion.sample], net.net)[0, 0], abs=1e-7)
    assert len({round(net.spatial_weight, 3) for net in found.nets}) > 5
    module = bundle.load_two_stream_net("trunk", [lesion.sample]).module
    maps = [grad_cam(module, lesion.sample, bundle.recipe.normaliser, head)[0].maps for head in range(9)]
    assert np.array_equal(found.spatial.maps, maps[SUBMODELS.index(found.looked)])
    assert sum(np.array_equal(found.spatial.maps, one) for one in maps) == 1
    assert len(draw_pictures(found)) == 4


def test_it_is_the_sample_that_training_sees(tmp_path: Path) -> None:
    """A row of a study and the same row asked about as unseen: equal to the bit."""
    site = load_site(SmallHospital(tmp_path, 1).write())
    (row,) = read_manifest(site, unseen=True).rows
    one, _ = build_sample(dataclasses.replace(row, cohort="training_b", track_checked=True), site, PROCESSING)
    other, _ = build_doubtful_sample(row, site, PROCESSING)
    assert other.cohort == "unseen"
    assert one.content_digest == other.content_digest
    assert np.array_equal(one.clinical, other.clinical, equal_nan=True)


def test_a_bundle_without_all_models_answers_by_the_richest(lesion: Lesion, bundle: Bundle) -> None:
    nets = {net: state for net, state in bundle.nets.items() if net not in ("fusion/DCB", "fusion/DB")}
    assert predict(lesion, dataclasses.replace(bundle, nets=nets)).model == "fusion/DC"
    bare = {net: state for net, state in nets.items() if net not in FUSION_NETS}
    with pytest.raises(ExpectedError, match="needs a fusion net"):
        predict(lesion, dataclasses.replace(bundle, nets=bare))


def said(prediction: Prediction, answer: str, disease: float) -> Prediction:
    probabilities = {name: 0.5 if name == answer else 0.1 for name in LESION_TYPES}
    nets = [NetAnswer(net, disease if net.startswith("disease") else 0.9, 0.5, 0.5, 0.5, 0.5) for net in SUBMODELS]
    return dataclasses.replace(prediction, probabilities=probabilities, nets=tuple(nets))


@pytest.mark.parametrize(
    ("answer", "disease", "since_low", "words"),
    [
        ("OT", 0.4, True, "each of the five disease nets is below"),
        ("OT", 0.6, False, "although a disease net says yes"),
        ("HM", 0.4, False, "and yet HM is most probable"),
        ("HM", 0.6, False, ""),
    ],
)
def test_why_other_is_named(prediction: Prediction, answer: str, disease: float, since_low: bool, words: str) -> None:
    found = said(prediction, answer, disease)
    assert (found.answer, found.other_since_low) == (answer, since_low)
    assert words in explain_other(found)


def test_contributions_have_their_values(prediction: Prediction, bundle: Bundle) -> None:
    rows = build_answer_view(prediction, bundle).parts
    assert {row.name: row.value for row in rows} == {
        "age": "61 years",
        "sex": "male",
        "AFP": "35 ng/mL",
        "ALB": "40 g/L",
        "disease nets": "",
        "biomarker nets": "",
    }
    moved = prediction.contributions.answer - prediction.contributions.background
    assert sum(row.share for row in rows) == pytest.approx(moved[LESION_TYPES.index(prediction.answer)])


def test_the_document_is_whole_and_names_nobody(prediction: Prediction, bundle: Bundle, lesion: Lesion) -> None:
    found = json.loads(encode_document(build_document(prediction, bundle)))
    assert found["notice"] == RESEARCH_ONLY
    assert sum(found["probabilities"].values()) == pytest.approx(1)
    assert list(found["nets"]) == list(SUBMODELS)
    assert all(net["spatial_weight"] + net["temporal_weight"] == 1 for net in found["nets"].values())
    assert found["clinical"]["AFP"] == {"value": pytest.approx(35), "unit": "ng/mL", "used": True}
    assert found["clinical"]["CEA"] == {"value": None, "unit": "ng/mL", "used": False}
    assert found["out_of_distribution"] is False
    assert found["lesion"] == lesion.sample.key
    view = build_answer_view(prediction, bundle)
    page, sheet = render_page(view), render_sheet(view)
    for text in (json.dumps(found), page, sheet.decode("latin-1")):
        assert not [word for word in ("WANG", "ZHANG", "Hospital", "2021", "clips/", "/tmp") if word in text]
    assert "http://" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    )
    assert page.count(RESEARCH_ONLY) == 2
    assert page.count("<img") == 1 + sum(len(strip.pictures) for strip in view.strips)
    assert sheet.startswith(b"%PDF")
    assert sheet.count(b"/Type /Page\n") + sheet.count(b"/Type /Page ") == 1
    assert b"CreationDate" not in sheet


def test_hostile_texts_are_escaped_on_the_page(prediction: Prediction, bundle: Bundle) -> None:
    hostile = "<script>alert('site')</script>"
    sample = dataclasses.replace(prediction.lesion.sample, key=hostile)
    lesion = dataclasses.replace(prediction.lesion, sample=sample)
    found = dataclasses.replace(prediction, lesion=lesion, cautions=(Caution("track", hostile, True),))
    made_by = dataclasses.replace(bundle, provenance={**bundle.provenance, "plan": hostile})
    page = render_page(build_answer_view(found, made_by))
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 4


def test_page_and_sheet_are_the_same_bytes_for_the_same_answer(prediction: Prediction, bundle: Bundle) -> None:
    one, other = (build_answer_view(prediction, bundle) for _ in range(2))
    assert render_page(one) == render_page(other)
    assert render_sheet(one) == render_sheet(other)


def test_pictures_have_one_scale_a_strip(prediction: Prediction) -> None:
    frames, frames_cam, flow, _ = draw_pictures(prediction)
    assert len(frames.pictures) == len(frames.titles) == 8
    assert len(flow.pictures) == 3  # two maps and the wheel
    strongest = int(prediction.spatial.maps.max(axis=(1, 2)).argmax())
    yellow = [int(picture[..., 0].astype(int).sum() - picture[..., 2].sum()) for picture in frames_cam.pictures]
    assert int(np.argmax(yellow)) == strongest


def kinds(found: list) -> list[tuple[str, bool]]:  # type: ignore[type-arg]
    return [(one.kind, one.serious) for one in found]


def test_cautions_by_kind(lesion: Lesion, bundle: Bundle) -> None:
    sample, trace = lesion.sample, lesion.trace
    assert list_cautions(sample, trace, bundle, False) == []
    doubtful = dataclasses.replace(trace, doubts=("the box is held in 80% of the frames",))
    assert kinds(list_cautions(sample, doubtful, bundle, False)) == [("track", True)]
    assert kinds(list_cautions(sample, doubtful, bundle, True)) == [("track", False)]
    flat = dataclasses.replace(sample, quality={**sample.quality, "enhances": 0.0})
    assert kinds(list_cautions(flat, trace, bundle, False)) == [("intensity", True)]
    blind = dataclasses.replace(bundle, typical=None)
    assert kinds(list_cautions(sample, trace, blind, False)) == [("bundle", True)]
    clinical = sample.clinical.copy()
    clinical[CLINICAL_NAMES.index("age")], clinical[CLINICAL_NAMES.index("AFP")] = 200.5, np.nan
    found = list_cautions(dataclasses.replace(sample, clinical=clinical), trace, bundle, False)
    assert [one.text.split(";")[0] for one in found] == [
        "unusual: age 10.0 SD above the training lesions",
        "not recorded: AFP",
    ]
    phantoms = dataclasses.replace(bundle, study={"results": {"simulated": True}})
    assert kinds(list_cautions(sample, trace, phantoms, False)) == [("bundle", True)]
    local = dataclasses.replace(RECIPE, architecture=dataclasses.replace(RECIPE.architecture, norm="batch_local"))
    assert "this lesion alone" in list_cautions(sample, trace, dataclasses.replace(bundle, recipe=local), False)[0].text


REAL = {
    "dicom": (Path(str(get_testdata_file("examples_ybr_color.dcm"))), (160.0, 120.0), 15),
    "avi": (DATA / "liver_sweep_23fps_mjpg.avi", (370.0, 330.0), 70),
    "mp4": (DATA / "liver_sweep_vfr.mp4", (300.0, 200.0), 30),
}


@pytest.mark.parametrize("name", REAL)
def test_real_clips_without_contrast_are_out_of_distribution(name: str, tmp_path: Path) -> None:
    path, center, frame = REAL[name]
    (tmp_path / "site.yaml").write_text("schema: 1\ncenter: 40\nname: H\n")
    rate = 2.0 if name == "dicom" else None  # a heart in one second: taken for a slower examination
    outline = circle(tmp_path, center, 40, (320, 240) if name == "dicom" else (738, 592))
    row = dataclasses.replace(row_of(path, outline, frame, rate), clip_checked=True)
    bundle = made_bundle(CEUS)
    found = predict(Lesion(2, *build_doubtful_sample(row, load_site(tmp_path), PROCESSING)), bundle)
    assert {one.kind for one in found.cautions if one.serious} >= {"clip", "distribution"}
    worst = [one for one in found.cautions if one.serious and one.kind == "distribution"]
    assert len(worst) == 1
    assert "mean transit time" in worst[0].text
    assert build_document(found, bundle)["out_of_distribution"] is True


def test_the_page_is_chinese_for_who_reads_chinese_and_the_numbers_are_the_same(
    prediction: Prediction, bundle: Bundle
) -> None:
    view = build_answer_view(prediction, bundle)
    english = render_page(view)
    with speaking(load_language("zh")):
        page = render_page(view)
    assert '<html lang="zh-CN"' in page
    assert "仅供研究" in page
    assert RESEARCH_ONLY not in page
    assert re.findall(r"<td class=.n.>[-+\d.]+(?: %)?</td>", page) == re.findall(
        r"<td class=.n.>[-+\d.]+(?: %)?</td>", english
    )
    text = re.sub(r"<(style|svg)\b.*?</\1>|<[^>]*>", "\n", page, flags=re.DOTALL)
    assert re.findall(r"(?:[A-Za-z]{2,} ){2,}[a-z]{2,}", text) == []
