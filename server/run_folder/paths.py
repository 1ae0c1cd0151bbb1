"""Paths in the coordinator's folder: what is of the federation, and what is of each study."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FEDERATION_FILE = "federation.yaml"


@dataclass(frozen=True)
class Home:
    """The coordinator's folder (absolute), with what all studies share.

    Only `ca`, `tls` and `secrets` hold private files; they have mode 0700.
    """

    folder: Path

    @property
    def federation(self) -> Path:
        """The federation's own file."""
        return self.folder / FEDERATION_FILE

    @property
    def ca_key(self) -> Path:
        """The CA's private key; a backup of it belongs off this machine."""
        return self.folder / "ca" / "ca.key"

    @property
    def ca(self) -> Path:
        """The CA's certificate."""
        return self.folder / "ca" / "ca.pem"

    @property
    def front_key(self) -> Path:
        """The front door's private key."""
        return self.folder / "tls" / "front.key"

    @property
    def front(self) -> Path:
        """The front door's certificate, which hospitals see."""
        return self.folder / "tls" / "front.pem"

    @property
    def superlink_key(self) -> Path:
        """The SuperLink's private key."""
        return self.folder / "tls" / "superlink.key"

    @property
    def superlink(self) -> Path:
        """The SuperLink's certificate, for 127.0.0.1 only."""
        return self.folder / "tls" / "superlink.pem"

    @property
    def superexec_secret(self) -> Path:
        """The secret that a process needs to take the SuperLink's tasks."""
        return self.folder / "secrets" / "superexec.secret"

    @property
    def people(self) -> Path:
        """Who may sign in to the console, without their tokens."""
        return self.folder / "secrets" / "people.json"

    @property
    def second_factors(self) -> Path:
        """The secrets of second factors for signing in to the console."""
        return self.folder / "secrets" / "second_factors.json"

    @property
    def console_settings(self) -> Path:
        """How people sign in to the console, and who may download what."""
        return self.folder / "console.yaml"

    @property
    def actions(self) -> Path:
        """What was done to the federation, by whom."""
        return self.folder / "actions.jsonl"

    @property
    def notices(self) -> Path:
        """Who is told what, if anybody is."""
        return self.folder / "notices.yaml"

    @property
    def outbox(self) -> Path:
        """What was told, and what is on its way."""
        return self.folder / "notices" / "outbox.json"

    @property
    def notices_lock(self) -> Path:
        """Locked by the process that tells, while it runs."""
        return self.folder / "notices" / ".lock"

    @property
    def sites(self) -> Path:
        """The register of sites."""
        return self.folder / "sites.json"

    @property
    def addresses(self) -> Path:
        """The front door's present and former addresses."""
        return self.folder / "front" / "addresses.json"

    @property
    def nginx(self) -> Path:
        """The front door's configuration."""
        return self.folder / "front" / "nginx.conf"

    @property
    def front_run(self) -> Path:
        """Where nginx keeps its pid and its temporary files."""
        return self.folder / "front" / "run"

    @property
    def studies(self) -> Path:
        """The studies, a folder each."""
        return self.folder / "studies"

    @property
    def removed(self) -> Path:
        """Studies and runs that were put aside."""
        return self.folder / "removed"

    @property
    def roster(self) -> Path:
        """The list of sites and their keys of secure sums."""
        return self.folder / "roster.json"

    @property
    def database(self) -> Path:
        """The SuperLink's database."""
        return self.folder / "superlink" / "state.db"

    @property
    def up_lock(self) -> Path:
        """Locked by `up` while it runs."""
        return self.folder / "superlink" / ".up.lock"

    @property
    def up_heartbeat(self) -> Path:
        """The heartbeat of `up`, with its current problem."""
        return self.folder / "superlink" / ".up.pulse"

    @property
    def logs(self) -> Path:
        """The logs of SuperLink and SuperExec."""
        return self.folder / "logs"

    def kit(self, site: str) -> Path:
        """The newest kit of a site."""
        return self.folder / "kits" / f"{site}.kit.json"


@dataclass(frozen=True)
class StudyFolder:
    """The folder of one study of a federation."""

    home: Home
    name: str

    @property
    def folder(self) -> Path:
        """All that is of this study alone."""
        return self.home.studies / self.name

    @property
    def settings(self) -> Path:
        """Which plan and which seed it has; a folder without this file is no study."""
        return self.folder / "study.yaml"

    @property
    def plan(self) -> Path:
        """Its copy of the plan, for a study that was added."""
        return self.folder / "plan.yaml"

    @property
    def bundle(self) -> Path:
        """The Flower app bundle that is submitted and that the sites approved."""
        return self.folder / "bundle.fab"

    @property
    def run(self) -> Path:
        """Its run: checkpoints, events, message log, results and report."""
        return self.folder / "run"

    @property
    def order(self) -> Path:
        """The order of `run` or `stop` for `up`."""
        return self.run / "order.json"

    @property
    def state(self) -> Path:
        """The state of the run, written by `up`."""
        return self.run / "state.json"
