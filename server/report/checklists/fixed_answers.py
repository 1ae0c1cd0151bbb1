"""Answers that hold for every run, because the software itself works so."""

from __future__ import annotations

from collections.abc import Mapping

from ceus_models.study.cohorts import FIRST_DAY, LAST_DAY, PROSPECTIVE_FROM, VALIDATION_SHARE
from server.results.uncertainty.design_effect import CORRELATION
from server.results.uncertainty.equivalence import MARGIN

FIXED: Mapping[str, str] = {
    "dates": (
        f"Examinations from {FIRST_DAY} to {LAST_DAY}; those from {PROSPECTIVE_FROM} are external test C, which the "
        "study collected prospectively"
    ),
    "partitions": (
        f"By center and date: centers 1-36 are training A and validation ({VALIDATION_SHARE:.0%} of the patients, by a "
        "hash of the patient's id, so that all lesions of a patient are on one side), 37-49 training B, 50, 51 and 52 "
        f"one test each, all from {PROSPECTIVE_FROM} external test C"
    ),
    "predictors": "Contrast-enhanced ultrasound clips around one outlined lesion, and clinical variables",
    "measures": (
        "Accuracy, AUC, sensitivity, specificity, predictive values, F1, average precision, Brier's score, calibration "
        "curve, slope and intercept, decision curves; from sums, as the report's notes say"
    ),
    "uncertainty": (
        "95 % intervals: Wilson for proportions, Bonett and Price for paired differences, a Poisson bootstrap else; "
        f"variances times a design effect for patients with several lesions (correlation {CORRELATION:g}, assumed). "
        f"McNemar's tests with Holm's correction; equivalence within ±{MARGIN:g} by two one-sided tests; readers as "
        "samples of more by Obuchowski and Rockette, non-inferiority with the same margin"
    ),
    "heterogeneity_method": (
        "Random effects over the sites that may be shown (DerSimonian and Laird; Hartung, Knapp, Sidik and Jonkman), "
        "I² and prediction interval; accuracy by subgroup"
    ),
    "fairness_method": (
        "Accuracy by sex, age, size, etiology, cirrhosis, fatty liver, manufacturer and pathology, and the largest gap "
        "of each with a simultaneous interval, as found and beyond what lesion types explain; nothing in training was "
        "adapted to groups"
    ),
    "output": "Six probabilities a lesion; the type is the most probable. A binary net is positive from 0.5",
    "differences": "Table 1 stands cohort by cohort in the section Cohorts; training A has no lesions of type OT",
    "initial": "Drawn from the study's seed, or weights that the plan names; the plan is in the bundle",
    "ensemble": "No ensemble: one fusion net over nine sub-models",
    "explanation": "`ceus-site predict` shows Grad-CAM and the exact contribution of each clinical variable",
    "limits": "Those of the model card: six types, one outlined lesion at a time, scanners as in training",
    "poor_input": (
        "`ceus-site predict` warns where the track, the intensity or the picture is unlike that of training lesions; "
        "missing clinical values enter as the mean, with a sign"
    ),
    "blinding": "The nets see images, outline and clinical variables alone; no label enters a prediction",
    "indeterminate": "The model always names a type; accuracy against coverage shows what abstaining would do",
    "audit": (
        "`ceus-site predict` writes each answer as a page and as JSON with the bundle's fingerprint; every message of "
        "a site is in its chained audit; results.json holds what every number was made of"
    ),
    "cross_table": "Confusion matrices of every model on every test set: section Test sets",
}
