"""The texts of a module, as templates."""

from __future__ import annotations

from pathlib import Path

from client.translation.code_texts import list_texts

MODULE = '''
"""A docstring is none."""
NAME = "two_words"
TEXT = "a clip has frames"
FORMAT = "held in {:.0%} of the frames"

def work(folder: "not a text", count: int, told) -> "not a text":
    """Nor is this one."""
    told({"event": "this is logged"})
    option = typer.Option(help="help of an option")
    label = f"{count} lesion{'s' if count != 1 else ''} of {folder}, found {describe('no such file')}"
    more = f"in all {count}" + (f" and {folder} more" if folder else "")
    yield "privacy", "any"
    raise ExpectedError(f"expected a table, found {folder!r}; name another (or none; as you like)")
    make_ok("disk", "enough of it")
'''


def test_texts_of_a_module(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(MODULE, encoding="utf-8")
    assert list(list_texts(path)) == [
        "a clip has frames",
        "held in {0} of the frames",
        "{0} lesions of {1}, found {2}",
        "{0} lesion of {1}, found {2}",
        "no such file",
        "in all {0} and {1} more",
        "in all {0}",
        "privacy",
        "any",
        "expected a table, found {0}",
        "name another (or none; as you like)",
        "disk",
        "enough of it",
    ]
