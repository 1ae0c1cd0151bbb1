"""Sentences that compare the reference study's claim with an experiment's finding."""

from __future__ import annotations

from sim.experiments.experiment_file import Claim


def chosen(claim: Claim | None, best: str, apart: bool) -> str:
    """About a claim that one arm is best; `apart`: the best arm differs significantly from the second."""
    if claim is None:
        return ""
    if not claim.best:
        return f"The study: {claim.text}"
    if best != claim.best:
        return f"The study: {claim.text} This is not reproduced."
    return f"The study: {claim.text} This is reproduced{'' if apart else ' in direction only, within the interval'}."


def judged(claim: Claim | None, holds: bool, learned: bool) -> str:
    """About a claim that accuracy is stable; `learned` says whether the model beats the majority type."""
    if claim is None:
        return ""
    if not learned:
        return (
            f"The study: {claim.text} Here this says nothing: the model does no better than always naming the "
            "commonest type."
        )
    return f"The study: {claim.text} This {'is' if holds else 'is not'} reproduced."
