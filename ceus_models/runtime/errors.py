"""The error that is expected: one sentence for a person, exit code 1. Anything else that escapes is a bug."""

from __future__ import annotations


class ExpectedError(Exception):
    """A failure that its reader can mend: the text says the rule, the value, the place and the remedy."""
