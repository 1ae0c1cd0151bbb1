"""What an attack run leaves: attack.json, and its table and figure in the run's report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ceus_models.runtime.atomic_files import PUBLIC, write_atomically
from sim.attacks.catalogue import ATTACKS
from sim.attacks.trial import Outcome
from sim.experiments.entry import Entry, publish_entry

ATTACK_FILE = "attack.json"
NAME = "attacks"
_OPEN = (
    "At level sums a crafted net within the plan's own shapes still speaks of single patients, once a round and in "
    "one histogram: only noise (distributed, local) ends that."
)


def publish_outcomes(out: Path, plan: str, seed: int, outcomes: Sequence[Outcome]) -> Entry:
    """Write attack.json and the report's entry."""
    document = {"schema": 1, "plan": plan, "seed": seed, "outcomes": [asdict(outcome) for outcome in outcomes]}
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / ATTACK_FILE, json.dumps(document, indent=1, allow_nan=False).encode(), PUBLIC)
    entry = build_entry(outcomes)
    publish_entry(out, NAME, entry)
    return entry


def build_entry(outcomes: Sequence[Outcome]) -> Entry:
    """The table (attack by level) and a matrix of the shares of the facts that were recovered."""
    levels = list(dict.fromkeys(outcome.level for outcome in outcomes))
    found = {(outcome.attack, outcome.level): outcome for outcome in outcomes}
    tried = [attack for attack in ATTACKS if any(attack.name == name for name, _ in found)]
    rows = [
        [
            attack.name,
            attack.title,
            *(found[attack.name, level].describe() if (attack.name, level) in found else "–" for level in levels),
        ]
        for attack in tried
    ]
    figure = {
        "kind": "matrix",
        "rows": [attack.name for attack in tried],
        "columns": levels,
        "values": [[_share(found.get((attack.name, level))) for level in levels] for attack in tried],
        "flagged": [[_is_refused(found.get((attack.name, level))) for level in levels] for attack in tried],
        "xlabel": "level; * refused",
        "ylabel": "attack, percent of its facts recovered",
    }
    return Entry(
        "Attacks of a curious coordinator",
        ("attack", "what is asked", *levels),
        rows,
        figure,
        describe_finding(outcomes),
        {"kind": "attack"},
    )


def describe_finding(outcomes: Sequence[Outcome]) -> str:
    """What each level leaves, in a sentence each."""
    by_level: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_level.setdefault(outcome.level, []).append(outcome)
    sentences = []
    for level, tried in by_level.items():
        working = [outcome.attack for outcome in tried if outcome.recovered]
        sentences.append(f"{level}: {len(working)} of {len(tried)} attacks recover something{_name(working)}.")
    if "sums" in by_level:
        sentences.append(_OPEN)
    return " ".join(sentences)


def _name(attacks: Sequence[str]) -> str:
    return f" ({', '.join(attacks)})" if attacks else ""


def _share(outcome: Outcome | None) -> float | None:
    return outcome.recovered / outcome.of if outcome and outcome.of else None


def _is_refused(outcome: Outcome | None) -> bool:
    return bool(outcome and outcome.code)
