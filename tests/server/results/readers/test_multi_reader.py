"""Oracles on pooled rows: the analysis of variance of Dorfman, Berbaum and Metz by statsmodels, and SciPy's t-tests."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from ceus_models.study.reader_study import READ_PAIRS, READERS
from server.results.readers.multi_reader import Differences, analyse_readers, compare_differences

LESIONS = 60
CODES = list(READERS)
P = "external_test_c|readers|"


def draw_rows(seed: int, alike: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """(readers 2 lesions) whether each was right alone and assisted; (lesions) whether the model was."""
    rng = np.random.default_rng(seed)
    hard = rng.normal(size=LESIONS)
    skill = rng.normal(0.6, 0.4, (len(CODES), 1, 1)) + np.array([0.0, 0.4])[None, :, None]
    latent = skill - alike * hard + rng.normal(size=(len(CODES), 2, LESIONS))
    return latent > 0, 1.0 - 0.7 * hard + rng.normal(size=LESIONS) > 0


def count_total(right: np.ndarray, model: np.ndarray) -> dict[str, torch.Tensor]:
    """The site's sums: 2 x 2 tables alone."""

    def table(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return np.bincount(one.astype(int) * 2 + other, minlength=4).reshape(2, 2)

    read = {(e, a): right[e, a] for e, role in enumerate(READERS.values()) for a in (0, 1) if role != "mri" or not a}
    empty = np.zeros((2, 2), int)
    pairs = [table(read[one], read[other]) if {one, other} <= set(read) else empty for one, other in READ_PAIRS]
    beside = [[[table(model, read[e, a]) if (e, a) in read else empty for a in (0, 1)] for e in range(len(CODES))]]
    reads = np.array([[LESIONS * ((e, a) in read) for a in (0, 1)] for e in range(len(CODES))])
    sums = {"confusion": reads[:, :, None, None], "pairs": np.array(pairs), "model": np.array(beside)}
    return {f"{P}{name}": torch.tensor(one) for name, one in sums.items()}


def analyse_variance(y: np.ndarray) -> dict[str, float]:
    """Mean squares by statsmodels of y (treatments readers cases)."""
    t, r, c = np.indices(y.shape)
    rows = pd.DataFrame({"y": y.ravel().astype(float), "t": t.ravel(), "r": r.ravel(), "c": c.ravel()})
    names = {"t": "C(t)", "r": "C(r)", "tr": "C(t):C(r)", "tc": "C(t):C(c)", "rc": "C(r):C(c)", "trc": "Residual"}
    found = anova_lm(ols("y ~ C(t)+C(r)+C(c)+C(t):C(r)+C(t):C(c)+C(r):C(c)", rows).fit())
    return {key: found.loc[name, "sum_sq"] / found.loc[name, "df"] for key, name in names.items()}


@pytest.mark.parametrize(("seed", "alike"), [(1, 1.0), (2, 0.0), (3, 2.0)])
@pytest.mark.parametrize("group", ["junior", "ceus"])
def test_readers_with_the_model_are_the_analysis_of_variance_of_right_and_wrong(seed: int, alike: float, group: str):
    right, model = draw_rows(seed, alike)
    found = analyse_readers(count_total(right, model), P, ["fusion/DCB"], 1.0)[group]["assistance"]
    y = right[: 3 if group == "junior" else 6].transpose(1, 0, 2)
    readers, squares = y.shape[1], analyse_variance(y)
    error = squares["tr"] + max(squares["tc"] - squares["trc"], 0.0)
    degrees = error**2 / (squares["tr"] ** 2 / (readers - 1))
    assert found["value"] == pytest.approx(y[1].mean() - y[0].mean())
    assert found["degrees"] == pytest.approx(degrees)
    assert found["p"] == pytest.approx(stats.f.sf(squares["t"] / error, 1, degrees))
    half = stats.t.ppf(0.975, degrees) * np.sqrt(2 * error / (readers * LESIONS))
    assert (found["low"], found["high"]) == pytest.approx((found["value"] - half, found["value"] + half))
    assert (found["readers"], found["n"]) == (readers, LESIONS)


@pytest.mark.parametrize("seed", [1, 2, 4])
def test_the_model_against_readers_is_the_analysis_of_variance_of_differences(seed: int):
    right, model = draw_rows(seed)
    total = count_total(right, model)
    found = analyse_readers(total, P, ["fusion/DCB"], 1.0)["senior"]["against"]["fusion/DCB"]["alone"]
    d = model.astype(float) - right[3:6, 0]  # (readers lesions)
    mean, by_reader, by_lesion = d.mean(), d.mean(1), d.mean(0)
    between = LESIONS * ((by_reader - mean) ** 2).sum() / 2
    lesions = 3 * ((by_lesion - mean) ** 2).sum() / (LESIONS - 1)
    rest = ((d - by_reader[:, None] - by_lesion + mean) ** 2).sum() / (2 * (LESIONS - 1))
    error = between + max(lesions - rest, 0.0)
    degrees = error**2 / (between**2 / 2)
    half = stats.t.ppf(0.975, degrees) * np.sqrt(error / (3 * LESIONS))
    assert (found["value"], found["degrees"]) == pytest.approx((mean, degrees))
    assert (found["low"], found["high"]) == pytest.approx((mean - half, mean + half))
    assert found["non_inferior"] is bool(mean - half > -0.05)
    fixed = stats.ttest_1samp(by_lesion, 0.0)
    assert found["fixed"]["p"] == pytest.approx(fixed.pvalue)
    assert (found["fixed"]["low"], found["fixed"]["high"]) == pytest.approx(tuple(fixed.confidence_interval()))


def test_two_readers_of_mri_are_a_group_and_one_reader_is_none():
    right, model = draw_rows(5)
    found = analyse_readers(count_total(right, model), P, ["fusion/DCB"], 1.0)
    assert set(found["mri"]) == {"against"}
    assert set(found["mri"]["against"]["fusion/DCB"]) == {"alone"}
    total = count_total(right, model)
    total[f"{P}confusion"][CODES.index("mri2")] = 0
    assert "mri" not in analyse_readers(total, P, ["fusion/DCB"], 1.0)


def test_a_reader_whose_counts_are_held_back_is_not_left_out_of_the_group():
    right, model = draw_rows(7)
    total = count_total(right, model)
    total[f"{P}model"][0, 1, 0] = 0  # the second junior, alone
    found = analyse_readers(total, P, ["fusion/DCB"], 1.0)
    assert set(found["junior"]["against"]["fusion/DCB"]) == {"assisted"}
    assert found["junior"]["assistance"]["readers"] == 3
    assert set(found["senior"]["against"]["fusion/DCB"]) == {"alone", "assisted"}


def test_without_joint_counts_of_the_readers_there_is_no_analysis():
    right, model = draw_rows(6)
    total = count_total(right, model)
    total[f"{P}pairs"][READ_PAIRS.index(((0, 0), (1, 1)))] = 0  # held back: too few lesions in a cell
    found = analyse_readers(total, P, ["fusion/DCB"], 1.0)
    assert "assistance" not in found["junior"]
    assert "against" in found["junior"]
    assert "assistance" in found["senior"]


def test_lesions_of_one_patient_widen_what_lesions_add_and_not_what_readers_add():
    seen = Differences(np.array([0.1, 0.05, 0.12]), np.array([4e-3, 4e-3, 4e-3]), 2e-3, 80)
    plain, wide = compare_differences(seen, 1.0), compare_differences(seen, 1.3)
    between = np.var(seen.values, ddof=1)
    widths = [(one["high"] - one["low"]) / 2 / stats.t.ppf(0.975, one["degrees"]) for one in (plain, wide)]
    assert widths == pytest.approx([np.sqrt((between + k * 6e-3) / 3) for k in (1.0, 1.3)])


def test_readers_who_all_agree_on_everything_leave_no_interval():
    right, model = np.ones((len(CODES), 2, LESIONS), bool), np.ones(LESIONS, bool)
    found = analyse_readers(count_total(right, model), P, ["fusion/DCB"], 1.0)["senior"]["assistance"]
    assert (found["value"], found["low"], found["p"], found["non_inferior"]) == (0.0, None, None, None)


def test_a_model_as_good_as_readers_is_rarely_called_different():
    """Readers and lesions drawn anew each time, all with the same truth; 5 % of 200, give or take three deviations."""
    rng, wrong = np.random.default_rng(8), 0
    for _ in range(200):
        hard = rng.normal(size=LESIONS)
        right = 0.9 + rng.normal(0, 0.3, (len(CODES), 1, 1)) - hard + rng.normal(size=(len(CODES), 2, LESIONS)) > 0
        model = 0.9 - hard + np.sqrt(1.09) * rng.normal(size=LESIONS) > 0
        found = analyse_readers(count_total(right, model), P, ["m"], 1.0)["ceus"]["against"]["m"]["alone"]
        wrong += found["p"] is not None and found["p"] < 0.05
    assert wrong / 200 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)
