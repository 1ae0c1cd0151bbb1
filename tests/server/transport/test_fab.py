"""What Flower ships to every site: the same bytes everywhere, and no code."""

from __future__ import annotations

import hashlib
import io
import zipfile
from datetime import timedelta
from pathlib import Path

from flwr.cli.install import install_from_fab
from flwr.common.config import get_fab_config
from made_bundles import CA, FEDERATION, NOW, OURS

from ceus_models.pki.keys import generate_key
from ceus_models.plan.plan import load_plan
from server.transport.fab import build_fab, build_study_fab, is_bundle_of, offer_study

CONFIGS = Path(__file__).parents[3] / "configs"


def test_the_bundle_has_no_code_and_flower_takes_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(build_fab())) as file:
        assert sorted(file.namelist()) == [".info/CONTENT", "pyproject.toml"]
    config = get_fab_config(build_fab())["tool"]["flwr"]["app"]
    assert config["components"] == {"serverapp": "server.server_app:app", "clientapp": "client.courier.client_app:app"}
    installed = install_from_fab(build_fab(), tmp_path, skip_prompt=True)
    assert [path.name for path in installed.rglob("*")] == ["pyproject.toml"]


def test_flower_takes_a_bundle_with_its_signed_study(tmp_path: Path) -> None:
    assert get_fab_config(OURS)["tool"]["flwr"]["app"]["config"]["least-sites"] == 3
    installed = install_from_fab(OURS, tmp_path, skip_prompt=True)
    assert sorted(path.name for path in installed.rglob("*")) == ["pyproject.toml", "study.json"]


def test_the_same_study_is_the_same_bundle_at_any_time_and_another_is_not() -> None:
    plan = load_plan(CONFIGS / "plan.paper.yaml")
    offered = offer_study(plan, "paper", FEDERATION, NOW)
    content = build_study_fab(plan, offered, CA)
    assert len(content) < 10_000
    key = CA.public_key()
    assert is_bundle_of(content, offer_study(plan, "paper", FEDERATION, NOW + timedelta(days=9)), key)
    assert not is_bundle_of(content, offer_study(plan, "other", FEDERATION, NOW), key)
    assert not is_bundle_of(content, offer_study(plan, "paper", FEDERATION, NOW, "other.app:app"), key)
    assert not is_bundle_of(content, offered, generate_key().public_key())
    for damaged in (b"", content[:-30], build_fab(federation=FEDERATION)):
        assert not is_bundle_of(damaged, offered, key)


def test_the_bundle_is_the_same_bytes_everywhere() -> None:
    """A site approves this digest; a change of the bundle is a change that every hospital must approve anew."""
    assert hashlib.sha256(build_fab()).hexdigest() == "c7c218f2390298aebb91cc57ddd15d0741907dc8d870e8c5f50aa0779958393e"
