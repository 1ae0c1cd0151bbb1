"""Whether a site's folder is in order: its settings, policy, index, audit and data. Nothing here loads torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ceus_models.runtime.findings import Check, Finding, make_fault, make_note, make_ok
from client.data.dataset.check import check_site
from client.data.dataset.index_file import read_index
from client.data.forms.site_config import load_site
from client.policy.approved_studies import list_processings
from client.policy.policy_file import load_policy
from client.service.sample_settings import find_rules
from client.worker.audit.verify import verify


@dataclass(frozen=True)
class SiteFolder:
    """folder: the site's · workers: lesions checked at once."""

    folder: Path
    workers: int = 1

    def quick_checks(self) -> list[Check]:
        """What must hold before a worker is started."""
        return [("site", self.site), ("policy", self.policy), ("index", self.index), ("audit", self.audit)]

    def site(self) -> Finding:
        """The settings of the folder. Raises FaultList."""
        return make_ok("site", f"{load_site(self.folder).name}, center {load_site(self.folder).center}")

    def policy(self) -> Finding:
        """What it allows. Raises FaultList."""
        policy = load_policy(self.folder)
        studies = "any study" if policy.studies is None else "approved studies"
        if isinstance(policy.studies, dict):
            studies = "studies named by digest"
        return make_ok("policy", f"answers {', '.join(policy.kinds)}; {studies}")

    def index(self) -> Finding:
        """The samples that the worker would hold. Raises ExpectedError."""
        indexed = read_index(load_site(self.folder))
        if not indexed.files:
            return make_fault("index", "it holds no lesion", "mend the table and run `ceus-site index FOLDER` again")
        wanted = list_processings(load_site(self.folder).records)
        if other := [name for name, processing in wanted.items() if processing.digest() != indexed.digest]:
            said = f"made with other settings than the study {', '.join(other)} wants, so its tasks are refused"
            return make_fault("index", said, "run `ceus-site index FOLDER`")
        return make_ok("index", f"{len(indexed.files)} lesions, processing {indexed.digest[:12]}")

    def audit(self) -> Finding:
        """Unchanged since it was written. Raises ExpectedError."""
        verdict = verify(load_site(self.folder).records)
        if not verdict.ok:
            remedy = (
                "`ceus-site audit verify FOLDER` tells all of it; keep the files as evidence under other names, then "
                "start again: a new audit begins, and `ceus-site restored FOLDER --because WORDS` says so"
            )
            return make_fault("audit", f"the audit was changed: {verdict.findings[0]}", remedy)
        return make_ok("audit", f"{verdict.entries} entries, unchanged")

    def contract(self) -> Finding:
        """What `ceus-site check` says."""
        report = check_site(self.folder, None, self.workers, find_rules(self.folder))
        found = f"{report.usable} usable lesions, {len(report.faults)} faults"
        remedy = "`ceus-site check FOLDER` tells each fault and its remedy"
        if not report.usable:
            return make_fault("data contract", found, remedy)
        return make_note("data contract", found, remedy) if report.faults else make_ok("data contract", found)
