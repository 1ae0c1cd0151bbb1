"""One-run audit over many seeds: the ε that canaries prove, beside the one that the plan promises.

    python -m benchmarks.canaries [--seeds 20] [--out FILE]

A seed draws other canaries, coins and noise against the same phantom hospitals, under the policy that comes with a
site.
At `unbound` the site answers one exact step, without noise and without its plan: an audit that found nothing there
would prove nothing about the other levels.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.measuring import arguments, publish, quiet
from ceus_models.plan.plan import load_plan
from ceus_models.study.taxonomy import NETS
from client.policy.policy import Policy
from sim.attacks.catalogue import ATTACKS
from sim.attacks.coordinator import CuriousCoordinator
from sim.attacks.hospitals import AttackedHospitals
from sim.attacks.trial import Outcome, try_attack

PLAN = Path("configs/plan.demo.yaml")
LESIONS = 114
CANARIES = next(attack for attack in ATTACKS if attack.name == "canaries")


def main() -> None:
    """Write the hospitals, audit them seed by seed, report."""
    given = arguments(__doc__, seeds=20)
    quiet()
    with tempfile.TemporaryDirectory() as scratch:
        hospitals = AttackedHospitals(Path(scratch), load_plan(PLAN), 1)
        hospitals.prepare(LESIONS, 2, lambda made, _: print(f"{made.site}: {made.read} lesions"))
        opened = {level: hospitals.open(CANARIES.cohort, level) for level in ("none", "distributed", "local")}
        audited = {"unbound": _unbind(opened["none"]), **{level: opened[level] for level in ("distributed", "local")}}
        rows: list[tuple[str, ...]] = []
        for name, attacker in audited.items():
            found = [try_attack(CANARIES, replace(attacker, seed=seed)) for seed in range(1, given.seeds + 1)]
            rows.append((name, *_summarize(found)))
            print(rows[-1])
    publish(
        "one-run audit", ("level", "largest bound of ε", "claim", "seeds above it", "median bound"), rows, given.out
    )


def _unbind(attacker: CuriousCoordinator) -> CuriousCoordinator:
    """The same hospitals, which answer what no plan asks."""
    policy = attacker.sites[0].policy
    if not isinstance(policy, Policy):
        raise TypeError(f"expected a fixed policy, found {type(policy).__name__}")
    loose = replace(policy, nets=NETS, privacy=replace(policy.privacy, bound_to_plan=False))
    return replace(attacker, sites=[replace(site, policy=loose) for site in attacker.sites])


def _summarize(found: list[Outcome]) -> tuple[str, str, str, str]:
    bounds = sorted(outcome.bound or 0.0 for outcome in found)
    claim = found[0].claim
    broken = sum(outcome.breaks_claim for outcome in found)
    promised = "none" if claim is None else f"{claim:.2f}"
    return f"{bounds[-1]:.2f}", promised, f"{broken} of {len(found)}", f"{bounds[len(bounds) // 2]:.2f}"


if __name__ == "__main__":
    main()
