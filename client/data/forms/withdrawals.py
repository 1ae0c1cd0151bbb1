"""Patients who withdrew: a list by pseudonym that index and worker honour, whatever the hospital's tables say."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path

from ceus_models.runtime.atomic_files import write_atomically
from ceus_models.runtime.errors import ExpectedError

WITHDRAWN_FILE = "withdrawn.json"


@dataclass(frozen=True)
class Withdrawal:
    """One patient.

    Args:
        patient: pseudonym.
        at: when it was said.
        lesions: pseudonyms of the lesions that the site had of the patient.
    """

    patient: str
    at: str
    lesions: tuple[str, ...]


def read_withdrawals(records: Path) -> dict[str, Withdrawal]:
    """The patients who withdrew, by pseudonym; none where there is no file yet.

    Raises:
        ExpectedError: the file cannot be read: a withdrawal is never forgotten by accident.
    """
    try:
        values = json.loads((records / WITHDRAWN_FILE).read_bytes())
        found = [Withdrawal(str(one["patient"]), str(one["at"]), tuple(map(str, one["lesions"]))) for one in values]
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError):
        raise ExpectedError(
            f"{WITHDRAWN_FILE} cannot be read, so no lesion is used; restore it from a backup, or run this as the "
            "worker's user"
        ) from None
    return {one.patient: one for one in found}


def add_withdrawal(records: Path, withdrawal: Withdrawal) -> None:
    """Write a patient down. Raises ExpectedError where the list cannot be read or written."""
    known = read_withdrawals(records)
    everyone = {**known, withdrawal.patient: withdrawal}.values()
    try:
        write_atomically(
            records / WITHDRAWN_FILE, json.dumps([asdict(one) for one in everyone], indent=1, sort_keys=True).encode()
        )
    except OSError as error:
        raise ExpectedError(
            f"{WITHDRAWN_FILE} cannot be written ({error.strerror}); nothing has changed: free disk space, or run the "
            "command as the user of the worker"
        ) from None


def count_withdrawn(records: Path, lesions: Collection[str]) -> int:
    """Patients who withdrew and had one of these lesions. Raises ExpectedError as `read_withdrawals`."""
    return sum(not set(lesions).isdisjoint(one.lesions) for one in read_withdrawals(records).values())
