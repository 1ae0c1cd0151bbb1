"""The roster that a run sends in the messages of its secure sums."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ceus_models.protocol.privacy.roster import parse_roster
from ceus_models.runtime.errors import ExpectedError

ROSTER_FILE = "roster.json"


def read_roster(folder: Path) -> str:
    """The text of the roster in a run's folder, "" where there is none, as in a simulation.

    Raises ExpectedError for a file that is no roster.
    """
    try:
        text = (folder / ROSTER_FILE).read_text(encoding="utf-8")
        parse_roster(text)
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        raise ExpectedError(
            f"{folder / ROSTER_FILE} cannot be read ({error}); run `ceus-coordinator roster` again"
        ) from None
    return text


def find_roster_faults(keys: Mapping[str, str], text: str) -> dict[str, str]:
    """Sites whose key in hello is not that of the roster, with the reason; none where there is no roster."""
    if not text:
        return {}
    enrolled = parse_roster(text).sites
    reason = "its key of secure sums is not the one with which it is enrolled: let it run `ceus-site keys` again"
    return {site: reason for site, key in keys.items() if enrolled.get(site) != key}
