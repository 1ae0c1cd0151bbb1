"""Data on a share that nobody may write to: with `work` elsewhere all works, else the folder and the key are named."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_hospital import SmallHospital

from ceus_models.runtime.atomic_files import make_private_folder
from ceus_models.runtime.errors import ExpectedError
from client.data.forms.site_config import load_site, open_work

PLAN = "processing: {frames_to_peak: 8, frames_after: 4, size: 24, flow_maps: 2, flow_size: 24, margin_px: 4.0}"
SETPRIV = shutil.which("setpriv")
pytestmark = pytest.mark.skipif(os.geteuid() == 0 and SETPRIV is None, reason="root needs setpriv to heed permissions")


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """`ceus-site` as a user whom permissions bind, root too."""
    bound = [str(SETPRIV), "--bounding-set=-dac_override,-dac_read_search", "--"] if os.geteuid() == 0 else []
    code = "from client.cli.main import main; main()"
    return subprocess.run(
        [*bound, sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, check=False, timeout=300
    )


def settings(folder: Path, text: str) -> None:
    (folder / "site.yaml").write_text((folder / "site.yaml").read_text(encoding="utf-8") + text, encoding="utf-8")


@pytest.fixture
def share(tmp_path: Path) -> Iterator[Path]:
    """A hospital's folder; `close` takes everybody's right to write from it, and it is opened again at the end."""
    (tmp_path / "share").mkdir()
    (tmp_path / "plan.yaml").write_text(PLAN, encoding="utf-8")
    yield SmallHospital(tmp_path / "share", 2).write()
    for path in (tmp_path / "share", *(tmp_path / "share").rglob("*")):
        path.chmod(0o755)


def close(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)


def test_a_read_only_share_is_checked_and_indexed_with_the_other_folders_elsewhere(tmp_path: Path, share: Path) -> None:
    local = tmp_path / "local"
    settings(share, f"work: {local}/work\nrecords: {local}/records\nsecret_file: {local}/secret.key\n")
    close(share)
    before = sorted(path.name for path in share.rglob("*"))
    assert run("check", share).returncode == 0
    made = run("index", share, "--plan", tmp_path / "plan.yaml", "--workers", "1")
    assert made.returncode == 0, made.stderr + made.stdout
    assert "lesions read: 2" in made.stdout
    paused = run("pause", share)
    assert paused.returncode == 0, paused.stderr
    assert sorted(path.name for path in share.rglob("*")) == before
    assert {path.name for path in local.iterdir()} == {"work", "records", "secret.key"}


def test_work_alone_elsewhere_is_enough_where_the_secret_is_there(tmp_path: Path, share: Path) -> None:
    settings(share, f"work: {tmp_path}/work\n")
    (share / "secret.key").write_bytes(bytes(32))
    close(share)
    made = run("index", share, "--plan", tmp_path / "plan.yaml", "--workers", "1")
    assert made.returncode == 0, made.stderr + made.stdout


@pytest.mark.parametrize(
    ("command", "elsewhere", "key", "named"),
    [
        (("index", "--plan"), "", "work", "{share}/.ceus"),
        (("show", "--plan"), "", "work", "{share}/.ceus"),
        (("index", "--plan"), "work: {local}\n", "secret_file", "{share}"),
        (("pause",), "work: {local}\n", "records", "{share}/records"),
    ],
    ids=["index", "show", "secret", "pause"],
)
def test_the_folder_that_cannot_be_written_and_its_key_are_named(
    tmp_path: Path, share: Path, command: tuple[str, ...], elsewhere: str, key: str, named: str
) -> None:
    settings(share, elsewhere.format(local=tmp_path / "work"))
    close(share)
    plan = [tmp_path / "plan.yaml"] if "--plan" in command else []
    done = run(command[0], share, *command[1:], *plan)
    said = " ".join(done.stderr.split())
    assert done.returncode == 1, said
    assert "This is a bug" not in said
    assert named.format(share=share) in said
    assert f"under {key} in site.yaml" in said


def test_a_file_in_the_way_of_a_folder_is_named_too(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ExpectedError, match=f"{tmp_path}/file/work cannot be written .* under work in site.yaml"):
        make_private_folder(tmp_path / "file" / "work", "work")


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277])
def test_the_work_folder_is_private_whatever_the_umask(share: Path, umask: int) -> None:
    site = load_site(share)
    before = os.umask(umask)
    try:
        open_work(site)
    finally:
        os.umask(before)
    assert stat.S_IMODE(site.work.stat().st_mode) == 0o700


def test_one_that_was_open_is_closed_unless_it_lies_elsewhere(tmp_path: Path, share: Path) -> None:
    """Elsewhere it may be a folder of the hospital's own, such as a scratch disk."""
    elsewhere = tmp_path / "scratch"
    for path in (share / ".ceus", elsewhere):
        path.mkdir()
        path.chmod(0o755)
    open_work(load_site(share))
    assert stat.S_IMODE((share / ".ceus").stat().st_mode) == 0o700
    settings(share, f"work: {elsewhere}\n")
    open_work(load_site(share))
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o755


@pytest.mark.parametrize("umask", ["0000", "0022"])
def test_nothing_of_an_index_can_be_read_by_others(tmp_path: Path, share: Path, umask: str) -> None:
    """Work lies in a folder that others may enter, so that its parts must be private by themselves."""
    elsewhere = tmp_path / "scratch"
    elsewhere.mkdir()
    elsewhere.chmod(0o755)
    settings(share, f"work: {elsewhere}\n")
    code = f"import os; os.umask(0o{umask}); from client.cli.main import main; main()"
    words = ["index", str(share), "--plan", str(tmp_path / "plan.yaml"), "--workers", "1"]
    subprocess.run([sys.executable, "-c", code, *words], check=True, timeout=300, capture_output=True)
    assert [
        path.name for path in elsewhere.iterdir() if path.stat().st_mode & 0o077 and path.name != "index.lock"
    ] == []
    assert stat.S_IMODE((elsewhere / "cache").stat().st_mode) == 0o700
