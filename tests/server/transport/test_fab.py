"""What Flower ships to every site: the same bytes everywhere, and no code."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

from flwr.cli.install import install_from_fab
from flwr.common.config import get_fab_config

from server.transport.fab import build_fab


def test_the_bundle_has_no_code_and_flower_takes_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(build_fab())) as file:
        assert sorted(file.namelist()) == [".info/CONTENT", "pyproject.toml"]
    config = get_fab_config(build_fab())["tool"]["flwr"]["app"]
    assert config["components"] == {"serverapp": "server.server_app:app", "clientapp": "client.courier.client_app:app"}
    installed = install_from_fab(build_fab(), tmp_path, skip_prompt=True)
    assert [path.name for path in installed.rglob("*")] == ["pyproject.toml"]


def test_the_bundle_is_the_same_bytes_everywhere() -> None:
    """A site approves this digest; a change of the bundle is a change that every hospital must approve anew."""
    assert hashlib.sha256(build_fab()).hexdigest() == "c7c218f2390298aebb91cc57ddd15d0741907dc8d870e8c5f50aa0779958393e"
