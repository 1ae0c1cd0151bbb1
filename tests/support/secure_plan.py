"""A seven-center variant of the smoke plan, in which every stage has four sites at least, and what its result is."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import yaml

from ceus_models.plan.progress import Progress
from ceus_models.protocol.messages import Level
from ceus_models.protocol.state import digest

SMOKE = Path(__file__).parents[2] / "configs" / "plan.smoke.yaml"
CENTERS = [1, 2, 3, 37, 38, 39, 50]


def write_secure_plan(path: Path, level: Level) -> Path:
    """Every stage but hello at this level; test cohorts of one hospital are left out, as no sum can hide it."""
    values: dict[str, Any] = yaml.safe_load(SMOKE.read_text())
    values["simulation"]["centers"] = CENTERS
    for cohort in ("external_test_a", "external_test_b"):
        del values["simulation"]["lesions"][cohort]
    for stage in values["stages"][1:]:
        stage["level"] = level
        stage["cohorts"] = [
            c for c in stage.get("cohorts", ["training_a"]) if c not in ("external_test_a", "external_test_b")
        ]
        if stage["stage"] == "statistics":
            del stage["cohorts"]
    path.write_text(yaml.safe_dump(values))
    return path


def fingerprint(progress: Progress) -> str:
    """SHA-256 over all of a study's results but how long it took, how many bytes, and what only single answers tell.

    Left out are norms of single changes, the sites that a hospital shows alone, keys of secure sums, and the software
    that processes state and sites in memory do not.
    """
    states = {
        f"{part}|{key}": state
        for part in ("nets", "memory", "totals")
        for key, state in getattr(progress, part).items()
    }
    digests = {
        key: digest({name: t for name, t in state.items() if not name.endswith("|own")})
        for key, state in states.items()
    }
    left_out = {"seconds": 0.0, "norms": {}, "sent": 0, "received": 0, "software": {}}
    records = [asdict(replace(record, **left_out)) for record in progress.participation]
    rest = [asdict(curve) for curve in progress.curves], {site: dict(held) for site, held in progress.counts.items()}
    recipe = None if progress.recipe is None else asdict(progress.recipe)
    parts = [progress.stage, progress.step, recipe, progress.frozen, digests, records, rest]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
