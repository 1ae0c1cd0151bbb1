"""The kit for machines without a network: made whole or not at all, and installed only if nothing in it was changed."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from deployment_files import DOCKER, ROOT, checked, tool
from made_federation import Lab, lab

from ceus_models.pki.enrolment import format_federation_id

KIT, INSTALL = DOCKER / "offline-kit.sh", DOCKER / "offline-install.sh"
DOCKER_STUB = """#!/bin/bash
# stands for docker: it knows one image, and writes down what it is given
case "$1 $2" in
  "image inspect") [[ $3 == $KNOWN ]] ;;
  "image save") echo "the layers of $3" ;;
  "image load") cat >"$LOADED" ;;
  "container run") [[ "$*" == *"--network none --entrypoint cat "$KNOWN" /opt/fedceus/sbom.cdx.json" ]] && echo "{}" ;;
  *) exit 64 ;;
esac
"""


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """An environment with a docker that knows `fedceus-site:0.1.0`."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "docker").write_text(DOCKER_STUB, encoding="utf-8")
    (programs / "docker").chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "KNOWN": "fedceus-site:0.1.0", "LOADED": str(tmp_path / "loaded")}


def run(*command: str | Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(list(map(str, command)), env=env, capture_output=True, text=True, check=False)


@pytest.fixture
def kit(tmp_path: Path, machine: dict[str, str]) -> Path:
    made = run(KIT, "site", tmp_path / "kit", "images", env=machine)
    assert made.returncode == 0, made.stderr
    assert made.stdout.splitlines()[-1] == hashlib.sha256((tmp_path / "kit" / "SHA256SUMS").read_bytes()).hexdigest()
    return tmp_path / "kit"


def test_the_scripts_have_no_fault() -> None:
    assert checked(tool("shellcheck"), "--enable=all", "--exclude=SC2250,SC2310,SC2311,SC2312", KIT, INSTALL) == ""


def test_a_kit_holds_images_files_and_their_sums(kit: Path) -> None:
    names = {path.relative_to(kit).as_posix() for path in kit.rglob("*") if path.is_file()}
    services = {f"systemd/{path.name}" for path in (DOCKER / "systemd").iterdir()}
    assert names == services | {
        "images/fedceus-site_0.1.0.tar.gz",
        "sbom.image.cdx.json",
        "compose.site.yaml",
        "compose.site.gpu.yaml",
        "deployment.md",
        "operations.md",
        "LICENSE",
        "install.sh",
        "SHA256SUMS",
    }
    assert gzip.decompress((kit / "images" / "fedceus-site_0.1.0.tar.gz").read_bytes()) == (
        b"the layers of fedceus-site:0.1.0\n"
    )


def test_a_coordinators_kit_has_the_console_and_its_dashboard(tmp_path: Path, machine: dict[str, str]) -> None:
    made = run(KIT, "coordinator", tmp_path / "kit", "images", env={**machine, "KNOWN": "*"})
    assert made.returncode == 0, made.stderr
    for name in ("compose.coordinator.yaml", "compose.coordinator.console.yaml", "grafana/fedceus.json"):
        assert (tmp_path / "kit" / name).is_file()


def test_a_kit_is_installed_where_it_came_whole(kit: Path, machine: dict[str, str]) -> None:
    looked = run(kit / "install.sh", "check", env=machine)
    assert looked.returncode == 0
    assert hashlib.sha256((kit / "SHA256SUMS").read_bytes()).hexdigest() in looked.stdout
    done = run(kit / "install.sh", "images", env=machine)
    assert done.returncode == 0, done.stderr
    assert Path(machine["LOADED"]).read_text(encoding="utf-8") == "the layers of fedceus-site:0.1.0\n"


def change(kit: Path) -> None:
    image = kit / "images" / "fedceus-site_0.1.0.tar.gz"
    content = bytearray(image.read_bytes())
    content[-1] ^= 1
    image.write_bytes(content)


def add(kit: Path) -> None:
    (kit / "images" / "another.tar.gz").write_bytes(gzip.compress(b"not packed"))


def link(kit: Path) -> None:
    (kit / "images" / "another.tar.gz").symlink_to("fedceus-site_0.1.0.tar.gz")


def remove(kit: Path) -> None:
    (kit / "compose.site.yaml").unlink()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (change, "get the folder again"),
        (remove, "get the folder again"),
        (add, "these files were not packed"),
        (link, "these files were not packed"),
    ],
)
def test_nothing_is_loaded_from_a_kit_that_was_changed(
    kit: Path, machine: dict[str, str], damage: object, said: str
) -> None:
    assert callable(damage)
    damage(kit)
    done = run(kit / "install.sh", "images", env=machine)
    assert done.returncode == 1
    assert said in done.stderr
    assert not Path(machine["LOADED"]).exists()


def receivers_commands() -> list[str]:
    """The lines of the guide that a receiver runs himself: digest and files, then the signature."""
    text = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    blocks = text[text.index("## Without a network") :].split("```bash\n")[2:4]
    return [block.split("```")[0] for block in blocks]


def verify(kit: Path, commands: str) -> subprocess.CompletedProcess[str]:
    line = ["bash", "-euo", "pipefail", "-c", commands]
    return subprocess.run(line, cwd=kit.parent, capture_output=True, text=True, check=False)


@pytest.fixture
def signed(tmp_path: Path, machine: dict[str, str]) -> tuple[Path, Lab]:
    made = lab(tmp_path / "co")
    env = {**machine, "CA_KEY": str(made.home.ca_key), "CA_CERTIFICATE": str(made.home.ca)}
    done = run(KIT, "site", tmp_path / "kit", "images", env=env)
    assert done.returncode == 0, done.stderr
    return tmp_path / "kit", made


def test_the_receiver_verifies_a_kit_without_running_anything_of_it(kit: Path) -> None:
    by_digest, _ = receivers_commands()
    assert "install.sh" not in by_digest
    digest = hashlib.sha256((kit / "SHA256SUMS").read_bytes()).hexdigest()
    found = verify(kit, by_digest)
    assert (found.returncode, found.stdout) == (0, f"{digest}  SHA256SUMS\n")
    (kit / "install.sh").write_text("#!/bin/bash\necho every file is as it was packed\n", encoding="utf-8")
    assert verify(kit, by_digest).returncode != 0
    seal(kit)  # by whoever changed it: the digest is another
    assert verify(kit, by_digest).stdout.split()[0] != digest


def test_a_kit_is_signed_by_the_federations_ca(signed: tuple[Path, Lab], machine: dict[str, str]) -> None:
    kit, made = signed
    _, by_signature = receivers_commands()
    assert "install.sh" not in by_signature
    found = verify(kit, by_signature)
    assert found.returncode == 0, found.stderr
    identity = format_federation_id("lab", made.office().authority.key.public_key())
    assert found.stdout.splitlines() == [identity.partition(":")[2], "Verified OK"]
    assert run(kit / "install.sh", "images", env=machine).returncode == 0
    (kit / "LICENSE").write_text("another", encoding="utf-8")
    assert verify(kit, by_signature).returncode != 0
    sums = checked("bash", "-c", "find . -type f ! -name 'SHA256SUMS*' -print0 | xargs -0 sha256sum", cwd=kit)
    (kit / "SHA256SUMS").write_text(sums, encoding="utf-8")
    assert "Verified OK" not in verify(kit, by_signature).stdout, "sums made anew are not signed"


def test_another_key_than_the_certificates_signs_nothing(tmp_path: Path, machine: dict[str, str]) -> None:
    one, other = lab(tmp_path / "co"), lab(tmp_path / "co2")
    keys = {"CA_KEY": str(other.home.ca_key), "CA_CERTIFICATE": str(one.home.ca)}
    for env, said in ((keys, "not that of its certificate"), ({"CA_KEY": keys["CA_KEY"]}, "give both")):
        done = run(KIT, "site", tmp_path / "kit", "images", env={**machine, **env})
        assert done.returncode == 1
        assert said in done.stderr
        assert not (tmp_path / "kit").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("site", "images"), "three words"),
        (("hospital", "kit", "images"), "site or coordinator"),
        (("site", "kit", "everything"), "images, wheels or both"),
        (("coordinator", "kit", "images"), "is not here; build or pull it first"),
    ],
)
def test_a_kit_that_cannot_be_made_leaves_nothing(
    tmp_path: Path, machine: dict[str, str], words: tuple[str, ...], said: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    named = [str(out / word) if word == "kit" else word for word in words]
    done = run(KIT, *named, env=machine)
    assert done.returncode == 1
    assert said in done.stderr
    assert list(out.iterdir()) == []


def test_a_kit_of_wheels_has_pinned_wheels_only(tmp_path: Path, machine: dict[str, str]) -> None:
    """The interpreter is stood for by a script that writes its arguments down: the real one would fetch gigabytes."""
    python = tmp_path / "python"
    asked = tmp_path / "asked"
    python.write_text(
        f'#!/bin/bash\necho "$*" >>{asked}\n'
        f'[[ $1 == *lock_wheels.py ]] && exec {sys.executable} "$@"\n'
        'while [[ $# -gt 0 ]]; do case $1 in --wheel-dir | --dest) touch "$2/fedceus-0-py3.whl" ;; esac; shift; done\n',
        encoding="utf-8",
    )
    python.chmod(0o755)
    env = {**machine, "PYTHON": str(python), "TORCH_INDEX_URL": "an-index", "CYCLONEDX": str(tool("cyclonedx-py"))}
    made = run(KIT, "coordinator", tmp_path / "kit", "wheels", env=env)
    assert made.returncode == 0, made.stderr
    lines = asked.read_text(encoding="utf-8").splitlines()
    assert [line.split()[2] for line in lines[:3]] == ["wheel", "download", "download"]
    assert all(f"--only-binary :all: --constraint {ROOT}/constraints.txt" in line for line in lines[1:3])
    assert "--index-url an-index" in lines[1]
    assert "fedceus[coordinator] @ file://" in lines[2]
    locked = f"fedceus[coordinator]==0 --hash=sha256:{hashlib.sha256(b'').hexdigest()}\n"
    assert (tmp_path / "kit" / "requirements.txt").read_text(encoding="utf-8") == locked
    listed = json.loads((tmp_path / "kit" / "sbom.wheels.cdx.json").read_text(encoding="utf-8"))
    assert [(one["name"], one["version"]) for one in listed["components"]] == [("fedceus", "0")]


def test_a_kit_of_wheels_needs_what_lists_them(tmp_path: Path, machine: dict[str, str]) -> None:
    made = run(KIT, "coordinator", tmp_path / "kit", "wheels", env={**machine, "CYCLONEDX": "no-such-program"})
    assert made.returncode == 1
    assert "cyclonedx-py is not here; pip install cyclonedx-bom" in made.stderr
    assert not (tmp_path / "kit").exists()


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("a-1-py3-none-any.whl", "a-2-py3-none-any.whl"), "found two of a; delete one"),
        (("a-1-py3-none-any.whl", "a-1.tar.gz"), "only wheels are expected"),
    ],
)
def test_a_lock_is_of_one_wheel_a_package(tmp_path: Path, names: tuple[str, ...], said: str) -> None:
    for name in names:
        (tmp_path / name).touch()
    done = run(sys.executable, DOCKER / "lock_wheels.py", tmp_path, "site", env=dict(os.environ))
    assert done.returncode == 1
    assert said in done.stderr


@pytest.mark.slow
def test_wheels_are_installed_without_an_index(tmp_path: Path, machine: dict[str, str], kit: Path) -> None:
    """A real virtual environment, from one small wheel that stands for fedceus."""
    (kit / "wheels").mkdir()
    checked("python3", "-c", WHEEL, kit / "wheels" / "fedceus-0.1.0-py3-none-any.whl")
    locked = checked(sys.executable, DOCKER / "lock_wheels.py", kit / "wheels", "site")
    (kit / "requirements.txt").write_text(locked, encoding="utf-8")
    refused = run(kit / "install.sh", "venv", tmp_path / "venv", env=machine)
    assert "not packed" in refused.stderr  # a wheel that was slipped in
    seal(kit)
    done = run(kit / "install.sh", "venv", tmp_path / "venv", env=machine)
    assert done.returncode == 0, done.stderr
    assert checked(tmp_path / "venv" / "bin" / "ceus-site") == "it runs\n"
    with (kit / "wheels" / "fedceus-0.1.0-py3-none-any.whl").open("ab") as wheel:
        wheel.write(b"tampered with")
    refused = run(kit / "install.sh", "venv", tmp_path / "other", env=machine)
    assert "get the folder again" in refused.stderr
    seal(kit)  # by whoever changed it: the hashes of the requirements still tell
    refused = run(kit / "install.sh", "venv", tmp_path / "other", env=machine)
    assert refused.returncode == 1
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in refused.stderr
    assert not (tmp_path / "other" / "bin" / "ceus-site").exists()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_whole_coordinator_is_installed_from_a_kit_alone(tmp_path: Path, machine: dict[str, str]) -> None:
    """All that a coordinator needs, some 3 GB, from the package index that pip is set to."""
    folder, venv = tmp_path / "kit", tmp_path / "venv"
    made = run(KIT, "coordinator", folder, "wheels", env={**machine, "CYCLONEDX": str(tool("cyclonedx-py"))})
    assert made.returncode == 0, made.stderr
    locked = (folder / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert len(locked) == len(list((folder / "wheels").iterdir()))
    listed = json.loads((folder / "sbom.wheels.cdx.json").read_text(encoding="utf-8"))
    assert listed["bomFormat"] == "CycloneDX"
    hashes = {one["name"]: one["externalReferences"][0]["hashes"][0]["content"] for one in listed["components"]}
    assert {line.partition("==")[0].partition("[")[0]: line.partition("sha256:")[2] for line in locked} == hashes
    nowhere = {**machine, "PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_CONFIG_FILE": os.devnull}
    done = run(folder / "install.sh", "venv", venv, env=nowhere)
    assert done.returncode == 0, done.stderr
    assert "ceus-coordinator" in checked(venv / "bin" / "ceus-coordinator", "--help", cwd=tmp_path)
    assert not list((ROOT / "build").glob("*"))
    (wheel,) = (folder / "wheels").glob("click-*.whl")
    wheel.write_bytes(wheel.read_bytes() + b"tampered with")
    seal(folder)
    refused = run(folder / "install.sh", "venv", tmp_path / "other", env=nowhere)
    assert refused.returncode == 1
    assert "click" in refused.stderr
    assert "DO NOT MATCH THE HASHES" in refused.stderr


def seal(kit: Path) -> None:
    sums = checked("bash", "-c", "find . -type f ! -name SHA256SUMS -print0 | xargs -0 sha256sum", cwd=kit)
    (kit / "SHA256SUMS").write_text(sums, encoding="utf-8")


WHEEL = """
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as wheel:
    info = "fedceus-0.1.0.dist-info/"
    wheel.writestr("made.py", "def main(): print('it runs')")
    wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: fedceus\\nVersion: 0.1.0\\n")
    wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr(info + "entry_points.txt", "[console_scripts]\\nceus-site = made:main\\n")
    wheel.writestr(info + "RECORD", "")
"""
