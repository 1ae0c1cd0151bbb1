"""The privacy ledger: what each released answer cost a patient, composed over rounds, stages, studies and restarts.

A Gaussian release of noise multiplier z costs 1/z², and costs add up whatever their order; ε at δ follows from the sum
as opacus' accountant has it. A cost is written down before its answer leaves and is never given back.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from opacus.accountants.analysis.rdp import compute_rdp, get_privacy_spent

from ceus_models.plan.plan import Plan
from ceus_models.plan.words.privacy_cost import list_releases
from ceus_models.protocol.message_ids import ReceivedTask
from ceus_models.protocol.messages import CountNoise, PrivateRule
from ceus_models.protocol.privacy.accountant import ORDERS
from ceus_models.study.taxonomy import COHORTS
from client.policy.policy import TaskDeclined
from client.policy.privacy_levels import PrivacyLevels
from client.worker.audit.log import Audit, AuditError, Head, entries, read_head
from client.worker.audit.verify import verify

BUDGET = "budget"
LATER_COHORT = "external_test_c"
"""The cohort of late examinations: a patient of any other cohort can have a lesion in it too."""


@dataclass(frozen=True)
class Cost:
    """What one release costs each patient of its cohorts.

    Args:
        event: id of the question.
        rate: Σ 1/z² over its nets, with the noise of honest sites only.
        own_rate: the same with this site's own noise only.
    """

    event: str
    study: str
    cohorts: tuple[str, ...]
    stage: str
    round: int
    nets: int
    rate: float
    own_rate: float


@dataclass(frozen=True)
class Charge:
    """A cost, and the SHA-256 of what is released for it."""

    cost: Cost
    payload: str


@dataclass
class BudgetLedger:
    """All charges of a site.

    Args:
        records: folder of the chained ledger; None keeps it in memory, for a simulation.
    """

    records: Path | None = None
    _charges: dict[str, Charge] | None = field(default=None, init=False)
    _seen: Head | None = field(default=None, init=False)

    def charges(self) -> tuple[Charge, ...]:
        """All charges, in order. Raises AuditError where the ledger was changed."""
        return tuple(self._read().values())

    def check(self, cost: Cost, levels: PrivacyLevels) -> None:
        """Check that the cost stays within the caps.

        Raises:
            TaskDeclined: it does not; the text has the sum.
            AuditError: the ledger was changed.
        """
        known = self._read()
        if cost.event not in known:
            _check_caps([charge.cost for charge in known.values()], [cost], levels, "this round")

    def check_plan(self, plan: Plan, levels: PrivacyLevels) -> None:
        """Check a whole plan against the caps before its first round. Raises TaskDeclined, AuditError as `check`."""
        spent = [charge.cost for charge in self.charges() if charge.cost.study != plan.digest()]
        planned = list(list_planned_costs(plan, levels.colluding))
        if planned:
            _check_caps(spent, planned, levels, "the plan")

    def charge(self, charge: Charge) -> None:
        """Write a charge down, once; the same question with the same payload is free.

        Raises:
            TaskDeclined: the question was answered with another payload, so its noise would be seen twice.
            AuditError: the ledger was changed or cannot be written.
        """
        known = self._read().get(charge.cost.event)
        if known is not None and known.payload != charge.payload:
            raise TaskDeclined(
                "budget",
                "expected the numbers that were released for this round, computed others; ask for a new attempt",
            )
        if known is None:
            held = self._read()
            if self.records is not None:
                fields = asdict(charge.cost)
                self._seen = Audit(self.records, stem=BUDGET).append("spent", **fields, payload=charge.payload)
            held[charge.cost.event] = charge

    def compute_spent(self, study: str, delta: float) -> float:
        """ε of the worst cohort in one study so far."""
        found = [charge.cost for charge in self.charges() if charge.cost.study == study]
        return compute_worst(found, delta)[1]

    def _read(self) -> dict[str, Charge]:
        """All charges; read again where another process has written, as `ceus-site restored`."""
        head = read_head(self.records, BUDGET) if self.records is not None else None
        if self._charges is None or head != self._seen:
            self._charges = {} if self.records is None else dict(_read_ledger(self.records))
            self._seen = head
        return self._charges


def find_cost(received: ReceivedTask, colluding: int) -> Cost | None:
    """What a task costs; None where it asks for no noise.

    Raises:
        TaskDeclined: so many sites may collude that no noise would be left.
    """
    task = received.task
    private = task.rule.private if task.rule else task.count_noise
    if private is None:
        return None
    releases = len(task.nets) if task.rule else 1
    rate, own = _find_rates(private, task.level, releases, colluding)
    cohorts = task.cohorts or COHORTS  # none named: all lesions
    return Cost(received.question, task.study, cohorts, task.stage, task.round, len(task.nets), rate, own)


def list_planned_costs(plan: Plan, colluding: int) -> Iterator[Cost]:
    """What each round of a plan will cost. Raises TaskDeclined as `find_cost`."""
    study = plan.digest()
    for one in list_releases(plan):
        rates = _find_rates(one.noise, one.level, one.count, colluding)
        yield Cost(f"{one.stage} {one.round}", study, one.cohorts, one.stage, one.round, one.nets, *rates)


def compute_worst(costs: Iterable[Cost], delta: float) -> tuple[str, float]:
    """The cohort whose patients lose most, and their ε; a patient of any cohort may be in the late one too."""
    held = list(costs)
    found = {cohort: _sum_rates(held, {cohort, LATER_COHORT}) for cohort in COHORTS}
    worst = max(found, key=lambda cohort: found[cohort])
    return worst, _account(found[worst], delta) if found[worst] > 0 else 0.0


def _account(rate: float, delta: float) -> float:
    """ε at δ of a sum of costs, by opacus: what refuses a task is not our own arithmetic."""
    rdp = compute_rdp(q=1.0, noise_multiplier=rate**-0.5, steps=1, orders=list(ORDERS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the best order is the first or last one: the bound holds there too
        epsilon, _ = get_privacy_spent(orders=list(ORDERS), rdp=rdp, delta=delta)
    return max(0.0, float(epsilon))


def _sum_rates(costs: Iterable[Cost], cohorts: set[str]) -> float:
    return math.fsum(cost.rate for cost in costs if not cohorts.isdisjoint(cost.cohorts))


def _find_rates(private: PrivateRule | CountNoise, level: str, releases: int, colluding: int) -> tuple[float, float]:
    """Σ 1/z² with the noise of honest sites, and with the site's own."""
    away = 0 if level == "local" else colluding
    if private.sites <= away:
        raise TaskDeclined(
            "budget", f"expected noise from more than the {away} sites that may collude, the rule has {private.sites}"
        )
    own = releases * private.sites / private.noise**2
    return own / (private.sites - away), own


def _check_caps(spent: list[Cost], more: list[Cost], levels: PrivacyLevels, what: str) -> None:
    study = more[0].study
    for costs, cap, name in (
        ([cost for cost in spent if cost.study == study] + more, levels.epsilon, "epsilon"),
        (spent + more, levels.lifetime_epsilon, "lifetime_epsilon"),
    ):
        cohort, epsilon = compute_worst(costs, levels.delta)
        if epsilon > cap:
            raise TaskDeclined(
                "budget", f"{what} would bring {cohort} to ε {epsilon:.3g} at δ {levels.delta:g}; {name} is {cap:g}"
            )


def _read_ledger(records: Path) -> Iterator[tuple[str, Charge]]:
    verdict = verify(records, BUDGET)
    if not verdict.ok:
        raise AuditError(
            f"expected the privacy ledger as it was written, found a change: {verdict.findings[0]}; bring budget.jsonl "
            "and budget.head back from the newest backup, then run `ceus-site restored`"
        )
    for entry in entries(records, BUDGET):
        if entry["kind"] == "spent":
            charge = _parse_charge(entry)
            yield charge.cost.event, charge


def _parse_charge(entry: dict[str, Any]) -> Charge:
    values = {name: entry[name] for name in Cost.__dataclass_fields__}
    return Charge(Cost(**{**values, "cohorts": tuple(values["cohorts"])}), entry["payload"])
