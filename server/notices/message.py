"""One message: plain text from what changed, without a control character, a line break or mark-up from elsewhere."""

from __future__ import annotations

import json
import unicodedata
import uuid
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from server.notices.changes import Change

MessageKind = Literal["notices", "test"]
LONGEST = 240
_MOST_LINES = 60
_MARKUP = str.maketrans({"<": "‹", ">": "›", "&": "＆", "`": "'"})


class Message(BaseModel):
    """id: the same whenever it is sent again · kinds: of its lines · at: seconds since 1970."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    federation: str
    at: float
    title: str
    kinds: tuple[str, ...]
    lines: tuple[str, ...]

    def as_text(self) -> str:
        """The body of a mail."""
        return "\n".join(
            [*self.lines, "", f"federation {self.federation}; `ceus-coordinator status` shows everything."]
        )

    def as_json(self) -> bytes:
        """The body of a post. `text` is what chat services show."""
        text = "\n".join([self.title, *self.lines])
        return json.dumps({**self.model_dump(mode="json"), "text": text}, ensure_ascii=False).encode()


def compose(changes: Sequence[Change], federation: str, at: float) -> Message:
    """One message of all changes."""
    lines = [_write_line(change) for change in changes]
    if len(lines) > _MOST_LINES:
        lines = [*lines[:_MOST_LINES], f"and {len(lines) - _MOST_LINES} more"]
    kinds = tuple(dict.fromkeys(change.kind for change in changes))
    title = lines[0] if len(lines) == 1 else f"{len(changes)} notices: {', '.join(kinds)}"
    return make_message(federation, at, title, kinds, lines)


def compose_test(federation: str, at: float, name: str) -> Message:
    """A message by which somebody sees that messages arrive."""
    line = f"this is a test for {clean_text(name)}: notices of this federation arrive here"
    return make_message(federation, at, "test of the notices", ("test",), [line])


def make_message(federation: str, at: float, title: str, kinds: tuple[str, ...], lines: Sequence[str]) -> Message:
    """A message with an id of its own; the title bears the federation's name, without the CA's fingerprint."""
    name = federation.partition(":")[0]
    said = f"{name}: {title}" if len(title) <= LONGEST else f"{name}: {title[: LONGEST - 1]}…"
    return Message(id=uuid.uuid4().hex, federation=federation, at=at, title=said, kinds=kinds, lines=tuple(lines))


def clean_text(text: str, longest: int = LONGEST) -> str:
    """One line of at most `longest` characters: no control or direction marks, no mark-up.

    >>> clean_text("no\\r\\nBcc: x <b>")
    'no Bcc: x ‹b›'
    """
    printable = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in text)
    line = " ".join(printable.split()).translate(_MARKUP)
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def _write_line(change: Change) -> str:
    often = f" ({change.count} times)" if change.count > 1 else ""
    return clean_text(change.text, LONGEST - len(often)) + often
