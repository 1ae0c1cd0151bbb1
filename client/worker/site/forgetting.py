"""A patient withdraws: no lesion is used from now on, and what this site made of them is deleted."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from ceus_models.runtime.errors import ExpectedError
from client.data.dataset.cache import cache_folder, lock_cache, read_owner, sheets_folder
from client.data.dataset.cache_cleanup import remove_contact_sheets
from client.data.dataset.index_file import drop_from_index, list_index_files
from client.data.dataset.review_list import drop_review_items
from client.data.forms.site_config import SiteConfig, make_pseudonym
from client.data.forms.withdrawals import Withdrawal, add_withdrawal, read_withdrawals
from client.data.scan.scan_files import list_pictures
from client.data.table.manifest import read_manifest
from client.worker.audit.log import Audit
from client.worker.site.opt_out import lock_participation
from client.worker.site.patient_rounds import Participation, find_rounds, list_recorded_lesions
from client.worker.tasks.memory_layout import forget


@dataclass(frozen=True)
class PatientFiles:
    """What this site has of one patient.

    Args:
        patient: pseudonym.
        lesions: pseudonyms.
        samples: names of files of the cache.
    """

    patient: str
    lesions: tuple[str, ...]
    samples: tuple[str, ...]


@dataclass(frozen=True)
class Forgotten:
    """What was done.

    Args:
        withdrawn: patients of this site who withdrew so far.
        deleted: files.
        waiting: whether samples stay until a running `index` ends, which deletes them.
        part: rounds that the patient took part in.
    """

    withdrawn: int
    deleted: int
    waiting: bool
    part: Participation


def find_patient(site: SiteConfig, patient_id: str) -> PatientFiles:
    """Find what tables, cache and records have of a patient, by the id that the table has. Raises ExpectedError."""
    patient = make_pseudonym(site, "patient", patient_id)
    entries = read_manifest(site).entries
    lesions = {
        make_pseudonym(site, "lesion", entry.lesion_id)
        for entry in entries
        if entry.patient_id == patient_id and entry.lesion_id
    }
    lesions |= list_recorded_lesions(site.records, patient)
    samples: list[str] = []
    for name in list_index_files(site):
        try:
            lesion, owner = read_owner(cache_folder(site) / Path(name).name)
        except ExpectedError:
            continue  # it is deleted already
        if owner == patient or lesion in lesions:
            samples.append(name)
            lesions.add(lesion)
    return PatientFiles(patient, tuple(sorted(lesions)), tuple(samples))


def forget_patient(site: SiteConfig, files: PatientFiles, by: str) -> Forgotten:
    """Write the withdrawal down, which a running worker honours from its next task on, and delete what there is.

    Args:
        by: the account.

    Raises:
        ExpectedError: the withdrawal, or its entry in the audit, cannot be written.
    """
    at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    with lock_participation(site.records):
        add_withdrawal(site.records, Withdrawal(files.patient, at, files.lesions))
    forget(site.work / "memory", "")
    waiting, deleted = False, 0
    try:
        with lock_cache(site):
            deleted = _delete_files(site, files)
    except ExpectedError:
        waiting = True
    part = find_rounds(site.records, files.patient)
    withdrawn = len(read_withdrawals(site.records))
    rounds = sum(len(stage.rounds) for stage in part.stages)
    Audit(site.records).append("forget", by=by, lesions=len(files.lesions), rounds=rounds, withdrawn=withdrawn)
    return Forgotten(withdrawn, deleted, waiting, part)


def _delete_files(site: SiteConfig, files: PatientFiles) -> int:
    """Samples, findings and pictures; their number.

    Pictures of a scan bear no patient's name, so all of them go.
    """
    cache, sheets = cache_folder(site), sheets_folder(site)
    drop_from_index(site, files.samples)
    gone = [cache / Path(name).name for name in files.samples]
    gone += [cache / name for name in drop_review_items(site, files.lesions)]
    gone += [path for lesion in files.lesions if (path := sheets / f"{lesion}.png").exists()]
    gone += list_pictures(site)
    for path in gone:
        path.unlink(missing_ok=True)
    if gone:
        remove_contact_sheets(sheets)
    return len(gone)
