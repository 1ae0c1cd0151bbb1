"""What is inside a bundle: ours is settings, and everything else is named and refused."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest
from made_bundles import (
    CA,
    FEDERATION,
    OTHER_FEDERATION,
    OURS,
    TRUST,
    files_of,
    packed,
    signed_bundle,
    with_files,
    with_settings,
)

from ceus_models.pki.keys import generate_key
from ceus_models.pki.offered_study import STUDY_FILE, sign_study
from client.courier.fab import BundleFault, Contents, ForeignBundleError
from client.courier.fab import contents_of as contents_by


def contents_of(bundle: bytes) -> Contents:
    return contents_by(bundle, TRUST)


def test_ours_is_settings_and_nothing_else() -> None:
    found = contents_of(OURS)
    assert sorted(found.files) == [".info/CONTENT", "pyproject.toml", STUDY_FILE]
    assert (found.study.federation, found.study.study) == (FEDERATION, "tiny")
    assert found.settings == {
        "plan": "",
        "out": "",
        "seed": 0,
        "sites": 0,
        "federation": FEDERATION,
        "plan-digest": found.study.plan_digest,
        "least-sites": 3,
    }


@pytest.mark.parametrize(
    ("bundle", "said"),
    [
        (with_files(helper=b""), r"holds code \('helper\.py'\)"),
        (
            with_files(client__courier__client_app=b"", client____init__=b""),
            "holds client, which would run in place of what is installed",
        ),
        (with_files(torch=b""), "holds torch, which would run in place"),
        (packed({**files_of(OURS), "ceus_models/data.yaml": b""}), "holds ceus_models, which would run"),
        (packed({**files_of(OURS), "./server/x.py": b""}), "holds server, which would run"),
        (packed({**files_of(OURS), "run.pth": b""}), "holds code"),
        (
            packed({**files_of(OURS), "notes.md": b""}),
            "must hold pyproject.toml, study.json and .info",
        ),
        (packed({**files_of(OURS), "../../etc/cron.d/x": b""}), "must hold"),
        (packed({"a.md": b""}), "must hold"),
        (packed({**files_of(OURS), "pyproject.toml": b"[project"}), "is no TOML"),
        (
            with_settings('"client.courier.client_app:app"', '"other.app:app"'),
            "not in our form at 'tool.flwr.app.components.clientapp'",
        ),
        (with_settings("[tool.flwr.app]", '[tool.flwr.app]\nfab-include = ["x"]'), "not in our form"),
        (
            with_settings('license = "Apache-2.0"', 'license = "Apache-2.0"\ndependencies = ["evil"]'),
            "project.dependencies",
        ),
        (with_settings("seed = 0", "seed = 0\nmodel = {depth = 3}"), "tool.flwr.app.config.model"),
        (packed({**files_of(OURS), ".info/CONTENT": b"pyproject.toml,00,0"}, listed=False), "listing does not fit"),
        (OURS[:-30], "no whole zip archive"),
        (b"", "no whole zip archive"),
        (b"x" * 140_000, "one of ours has fewer"),
        (packed({**files_of(OURS), "study.json": b" " * 140_000}), "unfolds to more than"),
        (
            packed({name: data for name, data in files_of(OURS).items() if name != STUDY_FILE}),
            r"`ceus-coordinator init`",
        ),
        (packed({**files_of(OURS), "pyproject.toml": b"#" * 1_000_000}), "unfolds to more than"),
    ],
)
def test_all_else_is_refused_by_name(bundle: bytes, said: str) -> None:
    with pytest.raises(BundleFault, match=said):
        contents_of(bundle)


def resigned(**changed: str) -> bytes:
    """The coordinator's own bundle whose study says something else, signed all the same."""
    files = files_of(OURS)
    study = contents_of(OURS).study.model_copy(update=changed)
    return packed({**files, STUDY_FILE: sign_study(study, CA)})


@pytest.mark.parametrize(
    ("bundle", "said"),
    [
        (signed_bundle(key=generate_key()), "signed by somebody else or changed afterwards"),
        (signed_bundle(federation=OTHER_FEDERATION), "is of other:0123"),
        (packed({**files_of(OURS), STUDY_FILE: files_of(OURS)[STUDY_FILE].replace(b"tiny", b"tinx")}), "changed after"),
        (with_settings("seed = 0", "seed = 1"), "expected the run settings that the coordinator signed"),
        (with_files(helper=b""), "holds code"),
        (packed({**files_of(OURS), "notes.md": b""}), "must hold"),
    ],
)
def test_what_did_not_come_from_the_coordinator_is_an_alarm(bundle: bytes, said: str) -> None:
    with pytest.raises(ForeignBundleError, match=said):
        contents_of(bundle)


@pytest.mark.parametrize(
    ("bundle", "said"),
    [
        (resigned(plan_digest="ab" * 32), "expected the plan of digest abab"),
        (resigned(plan='{"name": "other"}'), "has another; do not use it"),
        (packed({**files_of(OURS), STUDY_FILE: b"{}"}), "expected a study"),
        (packed({**files_of(OURS), STUDY_FILE: b" " * 70_000}), "at most 65536 bytes"),
    ],
)
def test_a_study_that_contradicts_itself_is_refused_and_no_alarm(bundle: bytes, said: str) -> None:
    with pytest.raises(BundleFault, match=said) as caught:
        contents_of(bundle)
    assert not isinstance(caught.value, ForeignBundleError)


def test_the_settings_and_the_study_are_of_one_plan() -> None:
    other = contents_of(signed_bundle("{name: tiny, quorum: {share: 0.5}, stages: [{stage: hello}]}")).study
    settings = contents_of(OURS).study.settings
    mixed = packed({**files_of(OURS), STUDY_FILE: sign_study(other.model_copy(update={"settings": settings}), CA)})
    with pytest.raises(BundleFault, match="settings name another plan or federation than its study"):
        contents_of(mixed)


def test_looking_imports_and_unpacks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    canary = tmp_path / "canary"
    code = f"open({str(canary)!r}, 'w').close()".encode()
    before, paths = set(sys.modules), list(sys.path)
    with pytest.raises(BundleFault):
        contents_of(with_files(client____init__=code, client__courier__client_app=code, sitecustomize=code))
    exec(compile(code, "control", "exec"))  # the canary does sing when it is run
    assert canary.exists()
    canary.unlink()
    assert not [path for path in tmp_path.rglob("*") if path.name != "home"]
    assert sys.path == paths
    assert not {name for name in set(sys.modules) - before if name.split(".")[0] in ("client", "sitecustomize")}


def test_any_bytes_are_refused_or_are_the_same_settings() -> None:
    source = random.Random(2)
    for _ in range(300):
        edited = bytearray(OURS)
        for _ in range(source.randint(1, 4)):
            edited[source.randrange(len(edited))] = source.randrange(256)
        try:
            assert contents_of(bytes(edited)).files["pyproject.toml"] == contents_of(OURS).files["pyproject.toml"]
        except BundleFault:
            continue


def test_settings_that_a_terminal_would_obey_are_refused() -> None:
    odd = with_settings("least-sites = 3", 'least-sites = 3\nnote = "\\u001b[2J"')
    with pytest.raises(BundleFault, match="holds control characters"):
        contents_of(odd)
