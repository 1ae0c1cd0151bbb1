"""What is inside a bundle: ours is settings, and everything else is named and refused."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest
from made_bundles import FEDERATION, OURS, files_of, packed, with_files, with_settings

from client.courier.fab import BundleFault, contents_of
from server.transport.fab import build_fab


def test_ours_is_settings_and_nothing_else() -> None:
    found = contents_of(OURS)
    assert sorted(found.files) == [".info/CONTENT", "pyproject.toml"]
    assert found.federation == FEDERATION
    assert found.settings == {
        "plan": "",
        "out": "",
        "seed": 0,
        "sites": 0,
        "federation": FEDERATION,
        "plan-digest": "ab" * 32,
        "least-sites": 3,
    }


def test_rounds_of_fewer_sites_than_usual_are_said() -> None:
    assert contents_of(OURS).shortage == ""
    fewer = contents_of(build_fab(federation=FEDERATION, least_sites=2))
    assert "the sums of 2 sites, 3 are usual" in fewer.shortage
    assert "does not say" in contents_of(build_fab(federation=FEDERATION)).shortage


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
        (packed({**files_of(OURS), "notes.md": b""}), r"must hold pyproject\.toml and \.info/CONTENT once"),
        (packed({**files_of(OURS), "../../etc/cron.d/x": b""}), "must hold"),
        (packed({"a.md": b""}), "must hold"),
        (packed({"pyproject.toml": b"[project"}), "is no TOML"),
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
        (b"x" * 70_000, "settings only has fewer"),
        (packed({**files_of(OURS), "pyproject.toml": b"#" * 1_000_000}), "unfolds to more than"),
    ],
)
def test_all_else_is_refused_by_name(bundle: bytes, said: str) -> None:
    with pytest.raises(BundleFault, match=said):
        contents_of(bundle)


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
