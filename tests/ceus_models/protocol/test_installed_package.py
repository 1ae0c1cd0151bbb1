from __future__ import annotations

import re
from pathlib import Path

from ceus_models.protocol.installed_package import compute_package_digest


def installation(folder: Path) -> Path:
    for name, text in {"client/a.py": "a", "client/b/c.html": "c", "server/d.py": "d", "other/e.py": "e"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def digest(folder: Path) -> str:
    compute_package_digest.cache_clear()
    return compute_package_digest(folder)


def test_two_equal_installations_have_one_digest_wherever_they_lie(tmp_path: Path) -> None:
    one, two = installation(tmp_path / "one"), installation(tmp_path / "two")
    (two / "client" / "__pycache__").mkdir()
    (two / "client" / "__pycache__" / "a.cpython-311.pyc").write_bytes(b"made")
    (two / "other" / "e.py").write_text("of another package")
    assert digest(one) == digest(two)


def test_any_changed_added_or_moved_file_of_ours_makes_another(tmp_path: Path) -> None:
    found = {digest(installation(tmp_path / "as it is"))}
    changed, added, moved, split = (installation(tmp_path / name) for name in ("changed", "added", "moved", "split"))
    (changed / "client" / "b" / "c.html").write_text("C")
    (added / "server" / "new.py").write_text("")
    (moved / "client" / "a.py").rename(moved / "client" / "z.py")
    (split / "client" / "a.py").write_text("aclient/b/c.html")
    found |= {digest(folder) for folder in (changed, added, moved, split)}
    assert len(found) == 5


def test_this_installation_has_one() -> None:
    compute_package_digest.cache_clear()
    assert re.fullmatch("[0-9a-f]{64}", compute_package_digest())
