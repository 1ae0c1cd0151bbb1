"""The expected error: one sentence for a person, exit code 1. Any other exception is a bug."""

from __future__ import annotations


class ExpectedError(Exception):
    """A failure that its reader can fix: the text says what was expected, what was found, and the fix."""
