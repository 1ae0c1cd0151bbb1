"""What the courier needs, in a folder of its own: keys, kit and approvals, and nothing of a patient.

The courier has the network, so it must not see the site's work folder; the two may be mounted, or owned, apart. They
meet at two sockets of the worker, in a folder of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = "courier"


@dataclass(frozen=True)
class CourierFolder:
    """folder: the courier's own, below the site's folder."""

    folder: Path

    @property
    def key(self) -> Path:
        """The node's private key, which never leaves this machine."""
        return self.folder / "node.key"

    @property
    def next_key(self) -> Path:
        """A new private key, from the request to the kit."""
        return self.folder / "next.key"

    @property
    def sums_key(self) -> Path:
        """The worker's public channel key of secure sums, which `ceus-site keys` puts here."""
        return self.folder / "sums.pub"

    def read_sums_key(self) -> str | None:
        """The public channel key in hexadecimal digits; None where there is none."""
        return self.sums_key.read_text(encoding="ascii").strip() if self.sums_key.exists() else None

    @property
    def request(self) -> Path:
        """What is sent to the coordinator."""
        return self.folder / "request.json"

    @property
    def kit(self) -> Path:
        """What came back, as it was signed."""
        return self.folder / "kit.json"

    @property
    def ca(self) -> Path:
        """The CA's certificate, for Flower's SuperNode."""
        return self.folder / "ca.pem"

    @property
    def approvals(self) -> Path:
        """What the hospital's IT allows to run."""
        return self.folder / "approved.json"

    @property
    def superexec_secret(self) -> Path:
        """What the runner must know to take the SuperNode's tasks."""
        return self.folder / "superexec.secret"

    @property
    def state(self) -> Path:
        """All that the courier writes; the rest of the folder may be read-only for it."""
        return self.folder / "state"

    @property
    def logs(self) -> Path:
        """What the SuperNode, the runner and their supervisor say."""
        return self.state / "logs"

    @property
    def waiting(self) -> Path:
        """Bundles that came by a message and are not approved, a file each, named by its SHA-256."""
        return self.state / "waiting"

    @property
    def alarm(self) -> Path:
        """The last bundle that came from elsewhere, until somebody has seen it."""
        return self.state / "alarm.json"

    @property
    def contact(self) -> Path:
        """The heartbeat of the coordinator's answers to the SuperNode."""
        return self.state / "contact"


def courier_of(site_folder: Path) -> CourierFolder:
    """The courier's folder of a site."""
    return CourierFolder(site_folder.resolve() / FOLDER)


def socket_of(site_folder: Path) -> Path:
    """Where the worker listens, unless it is told another place."""
    return site_folder.resolve() / "run" / "worker.sock"


def state_socket(socket_path: Path) -> Path:
    """Where the worker tells what it does, beside the socket for tasks."""
    return socket_path.with_suffix(".state")
