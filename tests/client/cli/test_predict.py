"""`ceus-site predict` and `bundle` as their user calls them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from made_bundle import PROCESSING, made_bundle
from small_hospital import SmallHospital

from ceus_models.bundle.checksums import CHECKSUM_FILE
from ceus_models.bundle.model_bundle import load_bundle, save_bundle
from ceus_models.bundle.model_card import RESEARCH_ONLY
from ceus_models.runtime.exit_codes import run_app
from ceus_models.study.taxonomy import LESION_TYPES
from client.cli.main import app
from client.data.dataset.index import build_index
from client.data.dataset.samples import load_samples
from client.data.forms.site_config import load_site, make_pseudonym

RUN = CliRunner()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "bundle"
    save_bundle(made_bundle(), folder)
    return folder


@pytest.fixture
def hospital(tmp_path: Path) -> SmallHospital:
    (tmp_path / "hospital").mkdir()
    return SmallHospital(tmp_path / "hospital", 2)


def asked(*arguments: object) -> dict:
    done = RUN.invoke(app, ["predict", *map(str, arguments), "--json"])
    assert done.exit_code in (0, 1), done.output
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def test_a_folder_of_lesions_is_answered_as_the_index_would_be(hospital: SmallHospital, bundle: Path) -> None:
    """The very probabilities that the bundle gives for the samples of `ceus-site index`."""
    hospital.rows[1] |= {"ALB": "20", "age": "30"}
    folder = hospital.write()
    found = asked(folder, "--bundle", bundle, "--workers", 1)
    assert found["ok"]
    assert found["notice"] == RESEARCH_ONLY
    site = load_site(folder)
    build_index(site, PROCESSING)
    samples = load_samples(site, PROCESSING)
    expected = load_bundle(bundle).predict(samples)
    for answer, sample, row in zip(found["answers"], samples, expected, strict=True):
        assert answer["lesion"] == sample.key
        assert [answer["probabilities"][name] for name in LESION_TYPES] == pytest.approx(row, abs=1e-6)
        for kind in ("html", "pdf", "json"):
            path = folder / "predictions" / f"{sample.key}.{kind}"
            assert path.stat().st_mode & 0o777 == 0o600
        assert json.loads((folder / "predictions" / f"{sample.key}.json").read_text()) == answer
    assert np.ptp(expected, axis=0).max() > 1e-4  # the two are told apart


def test_a_new_lesion_needs_neither_patient_nor_date_nor_blood_values(
    hospital: SmallHospital, bundle: Path, tmp_path: Path
) -> None:
    """A folder with three columns, asked about with the hospital's own words, screens and secret."""
    folder = hospital.write()
    new = tmp_path / "new"
    new.mkdir()
    shutil.copy(folder / "clips" / "0.avi", new / "a.avi")
    shutil.copy(folder / "outlines" / "0.json", new / "a.json")
    header = "lesion_id,clips,frame_rate_hz,outline,outline_frame,outline_pane"
    (new / "lesions.csv").write_text(f"{header}\nNEW 1,a.avi,2,a.json,8,contrast\n")
    found = asked(new, "--bundle", bundle, "--site", folder)
    (answer,) = found["answers"]
    assert answer["lesion"] == make_pseudonym(load_site(folder), "lesion", "NEW 1")
    assert all(value["value"] is None for value in answer["clinical"].values())
    assert [one["text"].split(";")[0] for one in answer["cautions"]] == ["not recorded: age, sex, AFP, ALB"]
    assert sorted(path.suffix for path in (new / "predictions").iterdir()) == [".html", ".json", ".pdf"]
    alone = RUN.invoke(app, ["predict", str(new), "--bundle", str(bundle)])
    assert "--site" in str(alone.exception)


def test_a_bad_lesion_costs_itself_only(hospital: SmallHospital, bundle: Path) -> None:
    hospital.rows[0]["exam_date"] = "2031-01-01"  # no fault of a lesion that is in no study
    hospital.rows[1]["clip_start_s"] = "soon"
    folder = hospital.write()
    done = RUN.invoke(app, ["predict", str(folder), "--bundle", str(bundle), "--json"])
    found = json.loads(done.stdout)
    assert (done.exit_code, found["ok"]) == (1, False)
    assert [answer["row"] for answer in found["answers"]] == [2]
    assert [(fault["row"], fault["reason"]) for fault in found["faults"]] == [(3, "bad-number")]
    hospital.rows[1]["clip_start_s"] = "5"
    hospital.path(1, "clips").write_bytes(b"no clip")
    bad = asked(hospital.write(), "--bundle", bundle, "--lesion", 3)
    assert [(fault["row"], fault["reason"]) for fault in bad["faults"]] == [(3, "unreadable-clip")]


def test_what_is_printed(hospital: SmallHospital, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = hospital.write()
    assert run_app(app, ["predict", str(folder), "--bundle", str(bundle), "--lesion", "3"]) == 0
    shown = capsys.readouterr().out
    assert RESEARCH_ONLY in shown.replace("\n", " ")
    assert load_bundle(bundle).fingerprint[:16] in shown
    assert make_pseudonym(load_site(folder), "lesion", "L1") in shown
    assert "L1 " not in shown
    assert run_app(app, ["predict", str(folder), "--bundle", str(bundle), "--lesion", "9"]) == 1
    assert "no lesion in row 9" in capsys.readouterr().err


def test_a_bundle_that_is_altered_is_not_asked(
    hospital: SmallHospital, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(bundle, tmp_path / "b")
    content = bytearray((tmp_path / "b" / "study.json").read_bytes())
    content[-2] ^= 1
    (tmp_path / "b" / "study.json").write_bytes(content)
    folder = hospital.write()
    for command in (["predict", str(folder), "--bundle"], ["bundle"]):
        assert run_app(app, [*command, str(tmp_path / "b")]) == 1
        assert "study.json is altered" in capsys.readouterr().err
    assert not (folder / "predictions").exists()


def test_a_bundle_is_looked_at(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(app, ["bundle", str(bundle), "--card"]) == 0
    shown = capsys.readouterr().out
    assert load_bundle(bundle).fingerprint in shown
    assert "# Model card: made" in shown
    assert CHECKSUM_FILE in {path.name for path in bundle.iterdir()}


def test_predict_runs_where_flower_is_not(hospital: SmallHospital, bundle: Path) -> None:
    code = "import sys; sys.modules['flwr'] = None\nfrom ceus_models.runtime.exit_codes import run_cli\n"
    code += "from client.cli.main import app; run_cli(app)"
    command = [sys.executable, "-c", code, "predict", str(hospital.write()), "--bundle", str(bundle), "--lesion", "2"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"}, check=False)
    assert done.returncode == 0, done.stderr
    assert RESEARCH_ONLY in done.stdout


def test_a_readers_log(hospital: SmallHospital, bundle: Path, tmp_path: Path) -> None:
    """Two lesions: before, the answer, after; stopped in between, and gone on with; then taken as reads.csv."""
    folder = hospital.write()
    log = folder / "reads.csv"
    command = ["predict", str(folder), "--bundle", str(bundle), "--assist-log", str(log)]
    command += ["--reader", "R 1", "--role", "junior"]
    first = RUN.invoke(app, command, input="nonsense\nhcc\n9\n2\nHM\n5\npass\n")
    assert first.exit_code == 0, first.output
    assert first.output.count("without the model") == 3  # the nonsense is asked again
    assert first.output.index("without the model") < first.output.index("the model: ")
    rows = log.read_text(encoding="utf-8-sig").splitlines()
    assert rows[0] == "lesion_id,reader,role,assisted,diagnosis,seconds (s),confidence"
    assert [row.rsplit(",", 2)[0] for row in rows[1:]] == ["L0,R 1,junior,no,HCC", "L0,R 1,junior,yes,HM"]
    assert [row.rsplit(",", 1)[1] for row in rows[1:]] == ["2", "5"]
    second = RUN.invoke(app, command, input="ICC\n3\nICC\n4\n")
    assert second.exit_code == 0, second.output
    assert "row 2," not in second.output  # said already
    checked = RUN.invoke(app, ["check", str(folder), "--json"])
    assert json.loads(checked.stdout)["reads"] == 4
    assert not [fault for fault in json.loads(checked.stdout)["faults"] if fault["file"] == "reads.csv"]


def test_a_readers_log_needs_a_reader(hospital: SmallHospital, bundle: Path, tmp_path: Path) -> None:
    command = ["predict", str(hospital.write()), "--bundle", str(bundle), "--assist-log", str(tmp_path / "log.csv")]
    assert "--reader NAME and --role junior|senior|mri" in str(RUN.invoke(app, command).exception)
    command += ["--reader", "R1", "--role", "mri"]
    assert "give one of them" in str(RUN.invoke(app, [*command, "--json"]).exception)
    command[command.index(str(tmp_path / "log.csv"))] = str(tmp_path / "log.xlsx")
    assert "workbook" in str(RUN.invoke(app, command).exception)
