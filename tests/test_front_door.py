"""The front door's configurations as text, and as their programs read them; tests/test_approved_code.py opens it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from flwr.supernode import fleet_http_client
from made_federation import FEDERATION, lab

from server.front_door import CALLS

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
CADDY = shutil.which("caddy")


def test_what_passes_is_what_flowers_node_calls(tmp_path: Path) -> None:
    """Flower's own list of calls, less the two by which a node would register itself."""
    source = Path(fleet_http_client.__file__).read_text()
    called = set(re.findall(r'path="/v1/fleet/([a-z-]+)"', source))
    assert called - {"register-node", "unregister-node"} == set(CALLS)


def test_both_hold_the_same_door(tmp_path: Path) -> None:
    text = FEDERATION.replace("sites:", "superlink_port: 18999\nlargest_piece_mb: 77\nsites:")
    home = lab(tmp_path, text).home
    for config in (home.nginx.read_text(), home.caddy.read_text()):
        assert "127.0.0.1:18999" in config
        assert "18443" in config
        assert re.search(r"77(m;|MB)", config)
        assert str(home.ca) in config
        assert str(home.front_key) in config
        assert "localhost" in config
        assert config.count("push-object") >= 2
        assert "404" in config
        assert not re.search(r"verify off|insecure|http://", config)


@pytest.mark.skipif(NGINX is None, reason="needs nginx (Debian: nginx-light)")
def test_nginx_takes_its_configuration(tmp_path: Path) -> None:
    home = lab(tmp_path).home
    done = subprocess.run([str(NGINX), "-t", "-c", str(home.nginx)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr.replace('the "user" directive', "")


def test_no_weights_are_written_beside_the_front_door(tmp_path: Path) -> None:
    """A slow line would have nginx put answers into files, which workers of a root's nginx may not even open."""
    text = lab(tmp_path / "co").home.nginx.read_text()
    assert "proxy_max_temp_file_size 0;" in text
    assert "proxy_request_buffering off;" in text


@pytest.mark.skipif(CADDY is None, reason="needs caddy")
def test_caddy_takes_its_configuration(tmp_path: Path) -> None:
    home = lab(tmp_path).home
    command = [str(CADDY), "validate", "--adapter", "caddyfile", "--config", str(home.caddy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
