"""What a run left is given to who may have it, the model as a zip that is made as it goes."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from made_console import Desk, empty_desk

import server.console.sign_in.users
from server.console.downloads import PUBLISHED, stream_zip
from server.run_folder.action_log import read_actions


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setitem(server.console.sign_in.users._COST, "n", 2)
    return empty_desk(tmp_path)


def publish(there: Desk) -> None:
    run = there.made.study.run
    for name, text in {
        "report.html": "<p>r",
        "results.json": "{}",
        "tables/auc.csv": "a,b",
        "checklists/tripod-ai.md": "#",
        "bundle/nets/x": "n",
    }.items():
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text(text)


def test_before_the_end_there_is_nothing(there: Desk) -> None:
    assert "nothing to download" in there.get("/download").text
    for file in PUBLISHED:
        assert there.get(f"/download/{file}").status == 404


def test_a_coordinator_gets_everything_and_it_is_written_down(there: Desk) -> None:
    publish(there)
    text = there.get("/download").text
    assert text.count('href="/download/') == 5
    for file in PUBLISHED:
        answer = there.get(f"/download/{file}")
        assert answer.status == 200
        assert answer.headers["content-disposition"] == f'attachment; filename="{there.made.study.name}-{file}"'
    assert there.get("/download/results.json").body == b"{}"
    with zipfile.ZipFile(io.BytesIO(there.get("/download/model.zip").body)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {"bundle/nets/x": b"n"}
    files = [line.said for line in read_actions(there.made.home) if line.action == "download"]
    assert files == [*PUBLISHED, "results.json", "model.zip"]


def test_a_researcher_gets_it_where_the_federation_says_so(there: Desk) -> None:
    publish(there)
    for path in ("/download", "/download/model.zip", "/kits/site-01", "/roster.json", "/bundle.fab"):
        assert there.get(path, "researcher").status == 403
    assert "/download" not in there.get("/", "researcher").text
    there.made.home.console_settings.write_text("schema: 1\ndownload: [coordinator, researcher]\n")
    other = Desk(there.made, there.tokens)
    assert other.get("/download/model.zip", "researcher").status == 200
    assert "/download" in other.get("/", "researcher").text
    assert other.get("/bundle.fab", "researcher").status == 403
    assert other.get("/download/model.zip", "monitor").status == 403


@pytest.mark.parametrize(
    "path",
    [
        "/download/state.json",
        "/download/..%2f..%2fca%2fca.key",
        "/kits/..%2f..%2fca%2fca",
        "/kits/site-01",
        "/roster.json",
        "/download/report.html?study=..",
        "/download/report.html?study=another",
        "/bundle.fab?study=../tiny",
    ],
)
def test_no_other_file_is_given(there: Desk, path: str) -> None:
    publish(there)
    assert there.get(path).status == 404


def test_the_bundle_that_sites_approve_is_given_to_coordinators(there: Desk) -> None:
    assert there.get("/bundle.fab").body == there.made.study.bundle.read_bytes()


def test_a_large_model_is_streamed_in_pieces_and_lies_nowhere_whole(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "nets.safetensors").write_bytes(bytes(range(256)) * (1 << 16))
    with (folder / "sparse").open("wb") as file:
        file.truncate(200 << 20)
    tracemalloc.start()
    sizes = [len(piece) for piece in stream_zip(folder)]
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(sizes) > 216 << 20
    assert max(sizes) < 2 << 20
    assert most < 8 << 20
