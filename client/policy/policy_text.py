"""The policy in force as sentences, for who must answer for it and reads no YAML."""

from __future__ import annotations

from collections.abc import Iterator

from client.policy.policy import KINDS, Caps, Policy


def describe_policy(policy: Policy) -> Iterator[tuple[str, str]]:
    """(what, what holds), a line each."""
    yield (
        "Studies",
        "any" if policy.studies is None else _join_parts(f"{n} ({d[:12]}…)" for n, d in policy.studies.items()),
    )
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
    required = policy.privacy == "required"
    yield "Privacy", "training without noise is refused" if required else "training without noise is allowed"
    machine = policy.machine
    cards = f"graphics cards {', '.join(map(str, machine.gpus))}" if machine.gpus else "no graphics card"
    share = "no bound on memory" if machine.memory_share is None else f"{machine.memory_share:.0%} of the memory"
    yield "Machine", f"{machine.threads} thread{'s' * (machine.threads > 1)}, {cards}, {share}"


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
