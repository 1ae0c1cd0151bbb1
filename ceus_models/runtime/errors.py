"""The error that is expected: one sentence for a person, exit code 1. Anything else that escapes is a bug."""

from __future__ import annotations

import traceback
from pathlib import Path


class ExpectedError(Exception):
    """A failure that its reader can mend: the text says the rule, the value, the place and the remedy."""


def stack_of(error: BaseException) -> list[str]:
    """Where an error happened, from the outermost call to the innermost: `net.py:12 in forward`.

    Its text stays out, since it may quote a file or name a patient.
    """
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}" for frame in frames]
