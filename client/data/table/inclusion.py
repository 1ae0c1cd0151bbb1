"""The rows of a table that a study takes, and the others counted by reason."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ceus_models.study.inclusion import Facts, Inclusion, find_exclusion
from ceus_models.study.taxonomy import CLINICAL, CLINICAL_NAMES
from client.data.table.rows import Row

_AGE, _SIZE = CLINICAL_NAMES.index("age"), CLINICAL_NAMES.index("tumor_size")
_FLAGS = {"yes": True, "no": False}


@dataclass(frozen=True)
class Chosen:
    """rows: that the study takes · reasons: line of the table → why the study does not take its lesion."""

    rows: tuple[Row, ...]
    reasons: Mapping[int, str]

    @property
    def excluded(self) -> dict[str, int]:
        """Reason → lesions, the commonest first."""
        return dict(Counter(self.reasons.values()).most_common())


def choose_rows(rows: Sequence[Row], rules: Inclusion) -> Chosen:
    """Ask the rules of each row."""
    reasons = {row.line: find_exclusion(_list_facts(row), rules) for row in rows}
    taken = tuple(row for row in rows if not reasons[row.line])
    return Chosen(taken, {line: reason for line, reason in reasons.items() if reason})


def _list_facts(row: Row) -> Facts:
    years, size = row.clinical[_AGE], row.clinical[_SIZE]
    known = [not math.isnan(x) for x, variable in zip(row.clinical, CLINICAL, strict=True) if not variable.optional]
    return Facts(
        label=row.label,
        years=None if math.isnan(years) else years,
        cm=None if math.isnan(size) else round(CLINICAL[_SIZE].invert_transform(size), 6),
        recorded=sum(known),
        pathology=_FLAGS.get(row.groups["pathology_confirmed"]),
        followed_up=row.followed_up,
    )
