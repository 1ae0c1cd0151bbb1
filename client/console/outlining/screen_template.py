"""Screen templates of site.yaml, drawn on a frame in place of numbers written by hand."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import cv2
import yaml
from pydantic import ValidationError

from ceus_models.runtime.atomic_files import write_atomically
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.yaml_lines import read_yaml_with_lines
from client.console.outlining.cases import Case
from client.data.dataset.worker_pool import LostItem, map_items
from client.data.forms.site_config import SITE_FILE, SiteConfig, select_screens
from client.data.forms.site_yaml import ScreenForm, SiteForm
from client.data.imaging.clip import open_recording
from client.data.imaging.layout import find_layout
from client.data.imaging.manufacturers import normalize_manufacturer
from client.data.imaging.recording import Box, ClipError
from client.data.imaging.screen import ANY_MAKER
from client.data.imaging.tint import BRIGHTEST, TINTS

_GLANCES = 3
_KEY = "screens"


@dataclass(frozen=True, slots=True)
class ScreenPicture:
    """A frame of a clip as the scanner showed it, with the names that are burned in: for the hospital's eyes only.

    Attributes:
        picture: PNG.
        manufacturer: As the file or the table says it, "" for neither.
        contrast, bmode: The panes as they are found now, None where they are not.
        origin: How they are found now, one of LAYOUTS, or why they are not.
        tint, dynamic_range_db: Of the template that fits now, None where there is none or it does not say.
    """

    picture: bytes = field(repr=False)
    rows: int
    columns: int
    manufacturer: str
    contrast: Box | None
    bmode: Box | None
    origin: str
    tint: str | None
    dynamic_range_db: float | None


def read_screen(case: Case, site: SiteConfig) -> ScreenPicture:
    """A frame of a lesion's first clip, read in a process of its own. Raises ExpectedError."""
    with closing(map_items(partial(_read_screen, site=site), [case], 1)) as outcomes:
        _, outcome = next(outcomes)
    if isinstance(outcome, LostItem):
        raise ExpectedError(
            f"a frame of the clip can be read, found one that cannot ({outcome.detail}); export it again"
        )
    if isinstance(outcome, str):
        raise ExpectedError(outcome)
    return outcome


def _read_screen(case: Case, site: SiteConfig) -> ScreenPicture | str:
    try:
        recording = open_recording(case.first_clip)
        shown = recording.sample_pictures(_GLANCES)
    except ClipError as error:
        return str(error)
    maker, size = recording.manufacturer or case.manufacturer, (recording.rows, recording.columns)
    fitting = [one for one in select_screens(site, maker) if (one.rows, one.columns) == size]
    contrast, bmode, origin = None, None, ""
    try:
        layout = find_layout(recording, select_screens(site, case.manufacturer), {**TINTS, **site.tints})
        contrast, bmode, origin = layout.contrast, layout.bmode, layout.origin
    except ClipError as error:
        origin = str(error)
    _, data = cv2.imencode(".png", cv2.cvtColor(shown[len(shown) // 2], cv2.COLOR_RGB2BGR))
    template = (fitting[0].tint, fitting[0].dynamic_range_db) if fitting else (None, None)
    return ScreenPicture(bytes(data.data), *size, normalize_manufacturer(maker), contrast, bmode, origin, *template)


def list_tints(site: SiteConfig) -> tuple[str, ...]:
    """The names of colour maps that a template may have."""
    return (*TINTS, BRIGHTEST, *site.tints)


def save_template(site: SiteConfig, given: dict[str, Any]) -> str:
    """Write a template into site.yaml, over the one of the same maker and size; the entry as it stands there.

    given: the keys of an entry. Raises ExpectedError.
    """
    try:
        form = ScreenForm.model_validate(given)
    except ValidationError as error:
        raise ExpectedError(f"a screen has two boxes within it, {error.errors()[0]['msg']}; draw them again") from None
    if form.tint not in list_tints(site):
        raise ExpectedError(f"the tint of a screen is one of {', '.join(list_tints(site))}; choose another")
    if form.bmode is not None and _side(form.contrast) != _side(form.bmode):
        raise ExpectedError(
            f"the two panes have one size, found {_side(form.contrast)} and {_side(form.bmode)}; draw one and move it"
        )
    entry = format_entry(form)
    path = site.folder / SITE_FILE
    try:
        read_yaml_with_lines(path, "bad-site-file")  # within its bounds, as what follows reads it node by node
        text = path.read_text(encoding="utf-8")
        changed = insert_entry(text, form, entry)
        _check_others(text, changed)
        write_atomically(path, changed.encode(), path.stat().st_mode & 0o777)
    except (OSError, UnicodeError, yaml.YAMLError, ValidationError, ValueError):
        raise ExpectedError(f"{SITE_FILE} cannot be written here; add this under screens by hand: {entry}") from None
    return entry


def format_entry(form: ScreenForm) -> str:
    """The entry in one line of YAML.

    >>> format_entry(ScreenForm(manufacturer="Philips", rows=96, columns=160, contrast=(0, 0, 80, 96)))
    '{manufacturer: Philips, rows: 96, columns: 160, contrast: [0, 0, 80, 96], tint: grey, dynamic_range_db: 60.0}'
    """
    values = form.model_dump(mode="json", exclude_none=True)
    return yaml.safe_dump(values, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10_000).strip()


def insert_entry(text: str, form: ScreenForm, entry: str) -> str:
    """The text of site.yaml with an entry; all but the one that it replaces stays to the letter."""
    document = yaml.compose(text)
    if not isinstance(document, yaml.MappingNode):
        raise ValueError("not a site's file")
    screens = next((value for key, value in document.value if key.value == _KEY), None)
    if screens is None:
        return f"{text}{'' if text.endswith(chr(10)) else chr(10)}{_KEY}:\n  - {entry}\n"
    if not isinstance(screens, yaml.SequenceNode):
        raise ValueError("not a site's file")
    for item in screens.value:
        if _describes(item, form):
            return _splice(text, item, entry)
    start = screens.start_mark.index
    if screens.flow_style:
        return f"{text[: start + 1]}{entry}{', ' if screens.value else ''}{text[start + 1 :]}"
    return f"{text[:start]}- {entry}\n{' ' * screens.start_mark.column}{text[start:]}"


def _describes(item: yaml.Node, form: ScreenForm) -> bool:
    """Whether an entry is of the same maker and the same size."""
    if not isinstance(item, yaml.MappingNode):
        return False
    values = {key.value: value.value for key, value in item.value}
    same_size = (values.get("rows"), values.get("columns")) == (str(form.rows), str(form.columns))
    return same_size and _name_maker(str(values.get("manufacturer"))) == _name_maker(form.manufacturer)


def _name_maker(text: str) -> str:
    return ANY_MAKER if text.strip() == ANY_MAKER else normalize_manufacturer(text)


def _splice(text: str, node: yaml.Node, put: str) -> str:
    return f"{text[: node.start_mark.index]}{put}{text[_find_end(node) :]}"


def _find_end(node: yaml.Node) -> int:
    """Where a node ends in the text; a block ends with its last value, what follows is not its own."""
    if isinstance(node, yaml.MappingNode) and not node.flow_style and node.value:
        return _find_end(node.value[-1][1])
    if isinstance(node, yaml.SequenceNode) and not node.flow_style and node.value:
        return _find_end(node.value[-1])
    return int(node.end_mark.index)


def _check_others(before: str, after: str) -> None:
    """Raises ValueError or ValidationError where anything but the screens would change, or a fault would come in."""
    old, new = yaml.safe_load(before), yaml.safe_load(after)
    SiteForm.model_validate(new)
    if {**old, _KEY: None} != {**new, _KEY: None}:
        raise ValueError("another key would change")


def _side(box: Box) -> tuple[int, int]:
    return box[2] - box[0], box[3] - box[1]
