"""A federation on disk, and sites that ask to join it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from ceus_models.pki.enrolment import Kit, Versions, utc_now
from client.courier.folder import CourierFolder, courier_of
from client.courier.keys import request_enrolment
from client.courier.kit import install_kit
from server.federation.certificate_authority import open_authority
from server.federation.enrolment import EnrolmentService, enrol, read_request, write_kit
from server.federation.federation_file import load_federation
from server.federation.founding import set_up_federation
from server.federation.site_register import change_register
from server.run_folder.paths import Home, StudyFolder
from server.run_folder.studies import list_studies

NOW = utc_now()
DAY = timedelta(days=1)
VERSIONS = Versions(fedceus="0.1.0", flower="1.41.0", protocol=1)
FEDERATION = """schema: 1
name: lab
address: localhost:18443
names: [127.0.0.1]
plan: plan.yaml
sites: [site-01, site-02]
"""
PLAN = """name: tiny
quorum: {share: 1.0, sites: 1}
stages:
  - {stage: hello}
"""


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True)
class Lab:
    """A coordinator's folder and what happens at it. now: what its clock says."""

    home: Home
    identity: str
    now: datetime = NOW

    @property
    def study(self) -> StudyFolder:
        """The study that `init` made of the plan beside federation.yaml."""
        return list_studies(self.home)[0]

    def at(self, moment: datetime) -> Lab:
        return replace(self, now=moment)

    def office(self) -> EnrolmentService:
        federation = load_federation(self.home.federation)
        return EnrolmentService(self.home, federation, open_authority(self.home, None, self.now), VERSIONS, self.now)

    def enrol(self, request: Path) -> Path:
        asked, office = read_request(request), self.office()
        with change_register(self.home) as register:
            return write_kit(enrol(asked, office, register), office)

    def site(self, folder: Path, name: str = "site-01", renew: bool = False) -> CourierFolder:
        """A site that has made its request."""
        courier = courier_of(folder)
        request_enrolment(courier, name, self.identity, renew, VERSIONS, self.now)
        return courier

    def join(self, courier: CourierFolder, kit: Path) -> Kit:
        return install_kit(courier, kit, VERSIONS, self.now)

    def joined(self, folder: Path, name: str = "site-01") -> CourierFolder:
        courier = self.site(folder, name)
        self.join(courier, self.enrol(courier.request))
        return courier


def lab(folder: Path, federation: str = FEDERATION) -> Lab:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "federation.yaml").write_text(federation)
    (folder / "plan.yaml").write_text(PLAN)
    return Lab(Home(folder.resolve()), set_up_federation(folder, None, NOW).identity)
