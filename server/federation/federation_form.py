"""`federation.yaml` as a form: the example with its comments, and what a command line fills in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib import resources

from ceus_models.runtime.errors import ExpectedError

UNUSUAL = ("name", "address", "sites")
"""Keys for which no federation can take the example's value."""


def parse_filled(settings: Iterable[str]) -> dict[str, str]:
    """KEY=VALUE each, VALUE as YAML.

    Raises:
        ExpectedError: one has another form or an unknown key, or a key that must be filled is missing.

    >>> parse_filled(["name=lab", "address=localhost:9443", "sites=[site-01, site-02]"])["sites"]
    '[site-01, site-02]'
    """
    found = dict(one.partition("=")[::2] for one in settings)
    keys = re.findall(r"^(\w+):", _read_example(), re.MULTILINE)
    if odd := [key for key in found if key not in keys or not found[key].strip() or "\n" in found[key]]:
        raise ExpectedError(f"expected --set KEY=VALUE with a key of {', '.join(keys)}, found {odd[0]!r}; correct it")
    if missing := [key for key in UNUSUAL if key not in found]:
        raise ExpectedError(f"expected --set for each of {', '.join(UNUSUAL)}, found none for {missing[0]}; add it")
    return {key: value.strip() for key, value in found.items()}


def fill_example(filled: Mapping[str, str]) -> bytes:
    """The example with these values in place of its own; its comments stay."""
    lines = [_fill_line(line, filled) for line in _read_example().splitlines()]
    return ("\n".join(lines) + "\n").encode()


def _fill_line(line: str, filled: Mapping[str, str]) -> str:
    key, _, rest = line.partition(":")
    if key not in filled:
        return line
    comment = rest.partition("#")[2]
    return f"{f'{key}: {filled[key]}':<33} #{comment}" if comment else f"{key}: {filled[key]}"


def _read_example() -> str:
    return resources.files("server.federation").joinpath("federation.example.yaml").read_text(encoding="utf-8")
