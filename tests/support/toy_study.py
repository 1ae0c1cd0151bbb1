"""A small study of seven sites with made-up lesions and real nets, without hospitals on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from toy_lesions import TINY, lesions

from ceus_models.plan.plan import Plan
from ceus_models.plan.stages import Evaluate, Hello, Statistics
from ceus_models.plan.train_stage import Train, Validation
from ceus_models.protocol.messages import Level, LocalRule, Sharing
from ceus_models.study.taxonomy import CLINICAL
from client.policy.privacy_levels import PrivacyLevels
from client.worker.audit.log import Audit
from client.worker.audit.recorder import AuditRecorder
from client.worker.site.site import Site
from tests.support.open_policy import open_policy

NAMES = [f"site-{number:02d}" for number in range(1, 8)]
STRICT = PrivacyLevels(training="sums", statistics="sums", evaluation="sums", minimum_sites=3)


def make_plan(level: Level, sharing: Sharing = "separate") -> Plan:
    cohorts, nets = ("training_a",), ("disease/HCC",) if sharing == "separate" else ("submodels",)
    rule = LocalRule(batch_size=4)
    stages = (
        Hello("hello"),
        Statistics("statistics", level=level),
        Train("train", "one", nets, cohorts, 2, rule=rule, validate=Validation(every=1), level=level),
        Evaluate("evaluate", "test", nets, ("validation",), 0, level=level),
    )
    return Plan("study", stages, architecture=TINY, fusion_hidden=4, sharing=sharing)


def draw_clinical(key: str) -> np.ndarray:
    """Plausible values: a site compares the recipe with the ranges of the taxonomy."""
    shares = np.random.default_rng(int(key, 16)).random(len(CLINICAL))
    ends = [(v.apply_transform(v.low), v.apply_transform(v.high)) for v in CLINICAL]
    return np.array([low + share * (high - low) for (low, high), share in zip(ends, shares, strict=True)], np.float32)


def open_toy_site(folder: Path, name: str, strict: bool) -> Site:
    number = int(name[-2:])
    made = [*lesions(4 + number % 3, "training_a", 100 * number), *lesions(3, "validation", 100 * number + 50)]
    samples = [replace(sample, clinical=draw_clinical(sample.key)) for sample in made]
    policy = open_policy(**({"privacy": STRICT} if strict else {}))
    processing = make_plan("none").processing.digest()
    audit = AuditRecorder(Audit(folder / name))
    return Site(name, samples, processing, policy, folder / name / "memory", trail=audit, records=folder / name)
