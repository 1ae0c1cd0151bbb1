"""A hospital's folder reaches a node's disk without its films, and a shared file system is recognised."""

from __future__ import annotations

from pathlib import Path

from sim.engine.cluster.site_archive import FolderMark, pack_site, unpack_site


def test_a_packed_hospital_has_what_its_site_reads(tmp_path: Path) -> None:
    folder = tmp_path / "site-01"
    for name in ("site.yaml", "work/cache/one.safetensors", "clips/film.dcm", "outlines/one.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (tmp_path / "elsewhere").write_text("a table")
    (folder / "lesions.csv").symlink_to(tmp_path / "elsewhere")
    unpack_site(pack_site(folder), tmp_path / "there" / "site-01")
    found = {str(p.relative_to(tmp_path / "there/site-01")) for p in (tmp_path / "there").rglob("*") if p.is_file()}
    assert found == {"site.yaml", "work/cache/one.safetensors", "lesions.csv"}
    assert (tmp_path / "there/site-01/lesions.csv").read_text() == "a table"
    assert not (tmp_path / "there/site-01/lesions.csv").is_symlink()


def test_a_mark_lies_beside_the_hospitals_until_it_is_removed(tmp_path: Path) -> None:
    mark = FolderMark({"site-01": tmp_path / "site-01", "site-02": tmp_path / "site-02"}, ".seen")
    assert mark.paths == (tmp_path / ".seen",)
    assert (tmp_path / ".seen").exists()
    mark.remove()
    assert not list(tmp_path.glob(".seen*"))
