"""The policy in force as sentences, for who must answer for it and reads no YAML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ceus_models.plan.words.plan_text import LEVEL_WORDS
from client.policy.policy import APPROVED, KINDS, Caps, Policy
from client.policy.privacy_levels import PrivacyLevels


def describe_policy(policy: Policy, approved: Mapping[str, str] | None = None) -> Iterator[tuple[str, str]]:
    """(what, what holds), a line each. approved: digest → name of the plans that are approved here."""
    yield "Studies", _describe_studies(policy, approved or {})
    all_kinds = set(policy.kinds) == set(KINDS)
    yield "Kinds of task", "all: " * all_kinds + ", ".join(policy.kinds)
    yield "Nets", "all" if policy.nets is None else ", ".join(policy.nets) or "none"
    least, cell = policy.minimum_lesions, policy.minimum_cell
    none = " (1: nothing is)" if least == cell == 1 else ""
    yield "Left out", f"cohorts and nets of fewer than {least} lesions, counts below {cell}{none}"
    yield "Bounds of training", _join_parts(_describe_caps(policy.caps))
    replicates = policy.max_replicates
    yield "Bootstrap", f"at most {replicates} replicates with weights of the lesions" if replicates else "no replicates"
    rounds = policy.rounds_per_day
    yield "Rounds a day", "no bound" if rounds is None else f"at most {rounds}"
    yield "Hours", "always" if policy.hours is None else str(policy.hours)
    yield from _describe_privacy(policy.privacy)
    risks = [f"{name}: {given_up}" for name, given_up in policy.list_risks()]
    yield "Accepted risks", "; ".join([*risks, f"because: {policy.accept_risk}"]) if risks else "none"
    machine = policy.machine
    cards = f"graphics cards {', '.join(map(str, machine.gpus))}" if machine.gpus else "no graphics card"
    share = "no bound on memory" if machine.memory_share is None else f"{machine.memory_share:.0%} of the memory"
    yield "Machine", f"{machine.threads} thread{'s' * (machine.threads > 1)}, {cards}, {share}"


def _describe_studies(policy: Policy, approved: Mapping[str, str]) -> str:
    if policy.studies is None:
        return "any"
    named = approved if policy.studies == APPROVED else {digest: name for name, digest in policy.studies.items()}
    listed = _join_parts(f"{name} ({digest[:12]}…)" for digest, name in named.items())
    none = "none yet: every task is refused"
    return f"those approved here: {listed or none}" if policy.studies == APPROVED else listed or none


def _describe_privacy(held: PrivacyLevels) -> Iterator[tuple[str, str]]:
    for name in ("training", "statistics", "evaluation"):
        yield f"Privacy of {name}", f"{getattr(held, name)} or stronger: {LEVEL_WORDS[getattr(held, name)]}"
    yield "Tasks", "what the approved plan asks, each round once" if held.bound_to_plan else "also what no plan asks"
    roster = "any list of sites" if held.roster == "any" else f"the list of sites {held.roster[:12]}…"
    alone = "also of cohorts that only this site has" if held.alone else "none of a cohort that only this site has"
    yield "Secure sums", f"over at least {held.minimum_sites} sites, {roster}; {alone}"
    yield (
        "Privacy budget",
        f"ε {held.epsilon:g} a patient and study, {held.lifetime_epsilon:g} over all, at δ {held.delta:g}; "
        f"the noise of {held.colluding} other sites does not count",
    )


def _describe_caps(caps: Caps) -> Iterator[str]:
    yield f"at most {caps.max_epochs} epochs"
    yield f"batches of {caps.min_batch_size} to {caps.max_batch_size}"
    yield f"learning rate to {caps.max_learning_rate:g}"
    yield f"momentum to {caps.max_momentum:g}"
    yield f"weight decay to {caps.max_weight_decay:g}"
    yield f"proximal µ to {caps.max_proximal_mu:g}"
    if caps.max_clip is not None:
        yield f"clip to {caps.max_clip:g}"
    if caps.clip_required:
        yield "clipping required"
    yield f"optimizers {', '.join(caps.optimizers)}"
    yield f"precisions {', '.join(caps.precisions)}"


def _join_parts(parts: Iterator[str]) -> str:
    return "; ".join(parts)
