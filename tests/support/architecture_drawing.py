"""The drawing of docs/architecture.md, made from the import rules of pyproject.toml and the sentence of each room.

`python tests/support/architecture_drawing.py` writes docs/architecture.svg anew; a test holds the file to it.
"""

from __future__ import annotations

import ast
import textwrap
import tomllib
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[2]
DRAWING = ROOT / "docs" / "architecture.svg"
COLOURS = {"sim": "#f3e8fd", "client": "#e3f1e3", "server": "#e3ecf9", "ceus_models": "#fdf1dc"}
_WIDTH, _GAP, _LINE, _CHAR = 1240, 12, 14, 5.9


def layers_of(package: str) -> list[list[str]]:
    """The layers of a package's rooms, the topmost first, as import-linter holds them."""
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    rule = next(rule for rule in rules if rule.get("containers") == [package])
    return [layer.split(" | ") for layer in rule["layers"]]


def sentence_of(package: str, room: str) -> str:
    folder = ROOT / package / room
    path = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n")[0].replace("`", "")


def folders_of(package: str, room: str) -> str:
    """The folders within a room, by name."""
    return ", ".join(sorted(path.parent.name for path in (ROOT / package / room).glob("*/__init__.py")))


def _room(package: str, room: str, x: float, y: float, width: float) -> tuple[str, float]:
    """One box, and its height."""
    inside = folders_of(package, room)
    text = sentence_of(package, room) + (f" Inside: {inside}." if inside else "")
    lines = textwrap.wrap(text, int((width - 16) / _CHAR))
    height = 26 + _LINE * len(lines)
    rows = [
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="HEIGHT" rx="4" fill="#fff" stroke="#666"/>',
        f'<text x="{x + 8:.0f}" y="{y + 17:.0f}" font-weight="bold">{escape(room)}</text>',
    ]
    for number, line in enumerate(lines):
        at = y + 32 + _LINE * number
        rows.append(f'<text x="{x + 8:.0f}" y="{at:.0f}" font-size="11">{escape(line)}</text>')
    return "\n".join(rows), height


def _arrow(x: float, y: float, to: float) -> str:
    return f'<path d="M{x:.0f} {y:.0f} V{to:.0f}" stroke="#666" marker-end="url(#down)"/>'


def _package(package: str, x: float, y: float, width: float) -> tuple[list[str], float]:
    """The layers of one package below each other, and the height of all."""
    title = f"{package}: {sentence_of('', package)}"
    heads = textwrap.wrap(title, int((width - 20) / (_CHAR * 1.12)))
    made = [
        f'<text x="{x + 10:.0f}" y="{y + 20 + 16 * i:.0f}" font-size="13">{escape(t)}</text>'
        for i, t in enumerate(heads)
    ]
    top = y + 14 + 16 * len(heads)
    layers = layers_of(package)
    for number, rooms in enumerate(layers):
        wide = (width - 20 - _GAP * (len(rooms) - 1)) / len(rooms)
        boxes = [_room(package, room, x + 10 + i * (wide + _GAP), top, wide) for i, room in enumerate(rooms)]
        height = max(tall for _, tall in boxes)
        made += [box.replace("HEIGHT", f"{height:.0f}") for box, _ in boxes]
        top += height
        if number < len(layers) - 1:
            made.append(_arrow(x + width / 2, top, top + _GAP))
            top += _GAP + 2
    total = top + 10 - y
    back = f'<rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{total:.0f}" rx="6" fill="{COLOURS[package]}"/>'
    return [back, *made], total


def drawing() -> str:
    """SVG: sim over client and server over ceus_models; a room may import what lies below it, never above."""
    half = (_WIDTH - 3 * _GAP) / 2
    parts, y = _package("sim", _GAP, _GAP, _WIDTH - 2 * _GAP)
    middle = _GAP + y + 2 * _GAP
    client, tall = _package("client", _GAP, middle, half)
    server, taller = _package("server", 2 * _GAP + half, middle, half)
    bottom = middle + max(tall, taller) + 2 * _GAP
    models, height = _package("ceus_models", _GAP, bottom, _WIDTH - 2 * _GAP)
    arrows = [_arrow(x, middle - 2 * _GAP, middle - 2) for x in (_GAP + half / 2, 2 * _GAP + 1.5 * half)]
    arrows += [
        _arrow(_GAP + half / 2, middle + tall, bottom - 2),
        _arrow(2 * _GAP + 1.5 * half, middle + taller, bottom - 2),
    ]
    total = bottom + height + _GAP
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {total:.0f}" font-family="sans-serif" '
        'font-size="13" fill="none"><title>The rooms of fedceus: imports run down</title>'
        '<defs><marker id="down" markerWidth="8" markerHeight="8" refX="4" refY="4" orient="auto">'
        '<path d="M0 0 L8 4 L0 8 z" fill="#666"/></marker></defs>'
        f'<rect width="{_WIDTH}" height="{total:.0f}" fill="#fff"/><g>'
    )
    drawn = "\n".join([*parts, *client, *server, *models, *arrows]).replace("<text ", '<text fill="#222" ')
    return f"{head}\n{drawn}\n</g></svg>\n"


if __name__ == "__main__":
    DRAWING.write_text(drawing(), encoding="utf-8")
