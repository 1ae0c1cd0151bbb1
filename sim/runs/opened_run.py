"""A run's folder, opened to read: its numbers as pandas data frames, one row a number, for a notebook.

>>> record = {"stage": "fusion", "kind": "train", "round": 1, "seconds": 2.0,
...           "counted": ["site-01"], "refused": {"site-02": "too few lesions"}}
>>> run = Run(Path("runs/demo"), {"participation": [record]})
>>> run.participation()[["site", "fate", "reason"]].values.tolist()
[['site-01', 'counted', ''], ['site-02', 'refused', 'too few lesions']]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import pandas as pd

from ceus_models.plan.terms.participation import Fate
from ceus_models.runtime.errors import ExpectedError
from ceus_models.study.taxonomy import LESION_TYPES
from server.results import metrics
from server.results.evaluation import MACROS, class_names
from sim.runs.confusion_draws import open_draws
from sim.runs.run import read_results

ESTIMATE = ("value", "low", "high", "n", "resolution")
"""An estimate, its 95 % interval, the lesions it rests on, and the bound of what is read from binned scores."""
METRICS = ("net", "cohort", "metric", "of", *ESTIMATE)
CURVES = ("stage", "net", "curve", "round", "loss", "kept")
PARTICIPATION = ("stage", "kind", "round", "site", "fate", "reason", "seconds")
COMPARISON = ("kind", "name", "cohort", "value", "low", "high", "n")
_Row = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """A finished run. Nothing is written; every method makes a new data frame.

    Args:
        folder: of the run.
        results: content of its `results.json`.
    """

    folder: Path
    results: Mapping[str, Any] = field(repr=False)

    @staticmethod
    def open(folder: Path | str) -> Run:
        """Open the folder that a command of `ceus-sim` wrote. Raises ExpectedError if there are no results in it."""
        return Run(Path(folder), read_results(Path(folder)))

    def metrics(self) -> pd.DataFrame:
        """Every metric of every net: `net` as `fusion/D` or `disease/HCC`, `cohort`, `metric`, and ESTIMATE.

        `of` is the lesion type that a metric is about, "" of one over all types. `metric` of a sensitivity has its
        specificity, as `sensitivity_at/0.90`.

        >>> accuracy = {"value": 0.8, "low": 0.7, "high": 0.9, "n": 60}
        >>> run = Run(Path(), {"nets": {"disease/HCC": {"validation": {"accuracy": accuracy}}}})
        >>> run.metrics()[["net", "cohort", "metric", "value"]].values.tolist()
        [['disease/HCC', 'validation', 'accuracy', 0.8]]
        """
        rows = [
            {"net": net, "cohort": cohort, **row}
            for net, cohort, found in self._list_evaluations()
            for row in _list_estimates(found, ())
        ]
        return pd.DataFrame(rows, columns=list(METRICS))

    def curves(self) -> pd.DataFrame:
        """Mean loss by round: `stage`, `net`, `curve` ("training" or "validation"), `round` from 1, `loss`, `kept`.

        `kept` is true in the round whose parameters the run went on with, where rounds were chosen.

        >>> curve = {"rounds": [1, 2], "training_loss": [0.9, 0.7], "best_round": 2}
        >>> Run(Path(), {"curves": {"fusion": {"fusion/D": curve}}}).curves()[["round", "loss", "kept"]].values.tolist()
        [[1, 0.9, False], [2, 0.7, True]]
        """
        rows = [
            {
                "stage": stage,
                "net": net,
                "curve": kind,
                "round": at,
                "loss": loss,
                "kept": at == found.get("best_round"),
            }
            for stage, nets in self.results.get("curves", {}).items()
            for net, found in nets.items()
            for kind, rounds in (("training", "rounds"), ("validation", "validation_rounds"))
            for at, loss in zip(found.get(rounds, ()), found.get(f"{kind}_loss", ()), strict=True)
        ]
        return pd.DataFrame(rows, columns=list(CURVES))

    def participation(self) -> pd.DataFrame:
        """What became of every site that was asked: `stage`, `kind`, `round`, `site`, `fate`, `reason`, `seconds`.

        `fate` is "counted", "refused", "excluded", "lost" or "idle"; `reason` is "" where none was given; `seconds` are
        those of the whole round.
        """
        rows = [
            {name: record[name] for name in ("stage", "kind", "round", "seconds")} | one
            for record in self.results.get("participation", ())
            for one in _list_fates(record)
        ]
        return pd.DataFrame(rows, columns=list(PARTICIPATION))

    def confusion(self, net: str, cohort: str) -> pd.DataFrame:
        """Lesions by true type (index `true`) and by what the net called them (columns `called`).

        Raises ExpectedError if the run did not evaluate the net on the cohort.
        """
        found = next((one for name, place, one in self._list_evaluations() if (name, place) == (net, cohort)), None)
        if found is None:
            raise self._missing(net, cohort)
        names = class_names(net)
        return pd.DataFrame(
            found["confusion"], index=pd.Index(names, name="true"), columns=pd.Index(names, name="called")
        )

    def replicates(self, net: str, cohort: str) -> pd.DataFrame:
        """Bootstrap replicates of a net: one row each (index `replicate`), `accuracy` and the macro means.

        Row 0 is the estimate itself. Raises ExpectedError if the folder has no checkpoint, or no such evaluation.
        """
        confusion = open_draws(self.folder, self.results).find_confusion(net, cohort)
        if confusion is None:
            raise self._missing(net, cohort)
        classes = metrics.per_class(confusion)
        columns = {f"macro_{name}": metrics.macro(classes[name]) for name in MACROS}
        rows = pd.DataFrame({"accuracy": metrics.accuracy(confusion), **columns})
        return rows.rename_axis("replicate")

    def comparison(self) -> pd.DataFrame:
        """Accuracies that `ceus-sim compare` held against each other: `kind`, `name`, `cohort` and an estimate.

        `kind` is "training" (`federated`, `pooled`, or a center by itself), "classical" or "net"; empty before
        `compare`.
        """
        found = self.results.get("comparison", {})
        trainings = {name: found[name] for name in ("federated", "pooled") if name in found} | found.get("alone", {})
        parts = {"training": trainings, "classical": found.get("classical", {}), "net": found.get("nets", {})}
        rows = [
            {"kind": kind, "name": name, "cohort": cohort, **_pick(score.get("accuracy", score))}
            for kind, arms in parts.items()
            for name, scores in arms.items()
            for cohort, score in scores.items()
        ]
        return pd.DataFrame(rows, columns=list(COMPARISON))

    def experiments(self) -> dict[str, pd.DataFrame]:
        """The table of each experiment that was run in the folder, by name; `attrs` has its title and its finding.

        >>> entry = {"title": "Norms", "columns": ["norm", "accuracy"], "rows": [["group", 0.7]], "finding": "One row."}
        >>> table = Run(Path(), {"experiments": {"norms": entry}}).experiments()["norms"]
        >>> table.columns.tolist(), table.attrs["title"]
        (['norm', 'accuracy'], 'Norms')
        """
        tables = {}
        for name, entry in self.results.get("experiments", {}).items():
            tables[name] = pd.DataFrame(entry["rows"], columns=entry["columns"])
            tables[name].attrs |= {key: entry[key] for key in ("title", "finding")}
        return tables

    def _list_evaluations(self) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        """(net, cohort, what was found) of every evaluation."""
        for cohort, entry in self.results.get("cohorts", {}).items():
            for model, found in entry["models"].items():
                yield f"fusion/{model}", cohort, found
        for net, cohorts in self.results.get("nets", {}).items():
            for cohort, found in cohorts.items():
                yield net, cohort, found

    def _missing(self, net: str, cohort: str) -> ExpectedError:
        there = sorted({f"{name} on {place}" for name, place, _ in self._list_evaluations()})
        return ExpectedError(
            f"expected one of {', '.join(there) or 'no net'}, found {net} on {cohort}; name one of them"
        )


def _list_estimates(found: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[_Row]:
    for key, inner in found.items():
        if not isinstance(inner, Mapping):
            continue
        if "value" not in inner:
            yield from _list_estimates(inner, (*path, key))
            continue
        whole = (*path, key)
        of = next((name for name in whole if name in LESION_TYPES), "")
        yield {"metric": "/".join(name for name in whole if name not in (of, "classes")), "of": of, **_pick(inner)}


def _pick(found: Mapping[str, Any]) -> _Row:
    return {key: found.get(key) for key in ESTIMATE if key in found}


def _list_fates(record: Mapping[str, Any]) -> list[_Row]:
    """What became of each asked site in a round, by its name."""
    found = []
    for fate in get_args(Fate):
        sites = record.get(fate, ())
        reasons = sites if isinstance(sites, Mapping) else dict.fromkeys(sites, "")
        found += [{"site": site, "fate": fate, "reason": reason} for site, reason in reasons.items()]
    return sorted(found, key=lambda one: str(one["site"]))
