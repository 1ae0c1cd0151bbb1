"""The federation's roster of secure sums, made from the register of sites and kept in the coordinator's folder."""

from __future__ import annotations

from pathlib import Path

from ceus_models.protocol.privacy.roster import Roster, parse_roster
from ceus_models.protocol.privacy.secure_levels import LEAST_SITES
from ceus_models.runtime.atomic_files import PUBLIC, write_atomically
from ceus_models.runtime.errors import ExpectedError
from server.federation.site_register import Register
from server.rounds.roster_file import ROSTER_FILE, read_roster


def write_roster(folder: Path, federation: str, register: Register) -> Roster:
    """Write the roster of all enrolled sites that sent a key of secure sums; the same sites give the same roster.

    Args:
        folder: of the coordinator.

    Raises:
        ExpectedError: too few sites have such a key.
    """
    current = {entry.site for entry in register.entries if entry.standing == "enrolled"}
    entries = [entry for site in sorted(current) if (entry := register.current(site))]
    keys = {entry.site: entry.sums_key for entry in entries if entry.sums_key}
    if len(keys) < LEAST_SITES:
        raise ExpectedError(
            f"a roster needs {LEAST_SITES} enrolled sites with a key of secure sums, here are {len(keys)}: let the "
            "others run `ceus-site keys FOLDER --renew` and enrol them again"
        )
    text = read_roster(folder)
    last = parse_roster(text) if text else None
    if last and (last.federation, dict(last.sites)) == (federation, keys):
        return last
    made = Roster(federation, last.number + 1 if last else 1, keys)
    write_atomically(folder / ROSTER_FILE, made.to_text().encode(), PUBLIC)
    return made
