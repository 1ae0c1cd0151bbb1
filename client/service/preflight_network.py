"""Whether the courier may run and reach its coordinator: kit, approval, folder, proxy, TLS, clock, ports, upload."""

from __future__ import annotations

import socket
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from ceus_models.pki.certificates import EXPIRY_WARNING
from ceus_models.pki.enrolment import Kit, utc_now
from ceus_models.runtime.findings import Check, Finding, make_fault, make_note, make_ok
from client.courier.connectivity import ProbeResult, probe_coordinator, probe_upload, proxy_for
from client.courier.folder import CourierFolder
from client.courier.kit import load_kit
from client.service.bundle_findings import check_approval, list_alarms

_NET_MB = 134
_SLOW_MB_S = 0.5
_PIECE = 5_000_000  # bytes; Flower's own pieces are as large


@dataclass
class Line:
    """What the checks of a line have in common; the front door is asked once."""

    courier: CourierFolder
    _reached: ProbeResult | None = field(default=None, init=False)

    def quick_checks(self) -> list[Check]:
        """What must hold before a courier is started."""
        return [("kit", self.kit), ("approval", self.approval), ("courier", self.writable)]

    def slow_checks(self) -> list[Check]:
        """What asks the network, in the order in which a person would mend it."""
        return [
            ("ALARM", lambda: list_alarms(self.courier)),
            ("proxy", self.proxy),
            ("TLS", self.tls),
            ("clock", self.clock),
            ("ports", ports),
            ("upload", self.upload),
        ]

    def kit(self) -> Finding:
        """Enrolled, with certificates that hold. Raises ExpectedError."""
        kit = load_kit(self.courier, utc_now())
        said = f"{kit.site} of {kit.federation.partition(':')[0]}, kit {kit.number}, valid to {kit.expires:%Y-%m-%d}"
        if kit.expires - utc_now() <= EXPIRY_WARNING:
            return make_note(
                "kit", said, "ask the coordinator for a new kit (`ceus-coordinator renew`), and join with it"
            )
        return make_ok("kit", said)

    def approval(self) -> Iterable[Finding]:
        """Some study may run. Raises ExpectedError for a file that cannot be used."""
        self._kit()
        return check_approval(self.courier)

    def writable(self) -> Finding:
        """The folder of its state and logs. Raises ExpectedError where it is not enrolled."""
        self._kit()
        try:
            self.courier.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.courier.state).close()
        except OSError as error:
            said = f"the courier cannot write to {self.courier.state} ({error.strerror})"
            return make_fault("courier", said, "let its user own that folder, and in a container mount one there")
        return make_ok("courier", "its state and logs can be written")

    def proxy(self) -> Finding:
        """Which way out is taken."""
        address = self._kit().address
        between = proxy_for(address)
        return make_ok(
            "proxy", f"by the proxy {between} (HTTPS_PROXY) to {address}" if between else f"none, straight to {address}"
        )

    def tls(self) -> Finding:
        """The front door answers, and its certificate is of this federation's CA."""
        found = self._front()
        if found.fault and (found.ahead_s is None or "clock" not in found.fault):
            return make_fault("TLS", found.fault, found.remedy)
        if found.moved:
            return make_note(
                "TLS", found.moved, "ask the coordinator for the new kit, and join with it before that day"
            )
        return make_ok("TLS", "the coordinator's front door answers, with a certificate of this federation")

    def clock(self) -> Finding:
        """Against the coordinator's."""
        found = self._front()
        if found.ahead_s is None:
            return make_note("clock", "not compared: the coordinator does not answer", "mend the line first")
        if found.fault and "clock" in found.fault:
            return make_fault("clock", found.fault, found.remedy)
        return make_ok("clock", f"{abs(found.ahead_s):.0f} s from the coordinator's; 300 are borne")

    def upload(self) -> Finding:
        """How fast pieces of an answer leave."""
        if self._front().fault:
            return make_note("upload", "not measured: the coordinator does not answer", "mend the line first")
        begun = time.monotonic()
        status = probe_upload(self._kit().address, self.courier.ca, _PIECE)
        speed = _PIECE / 1e6 / max(time.monotonic() - begun, 1e-3)
        if not status:
            return make_fault(
                "upload", "5 MB could not be sent within 60 s", "ask the network's IT what stops or slows it"
            )
        if status == 413:
            return make_fault(
                "upload", "a piece of 5 MB is refused (413)", "the proxy's limit for a body must be above 6 MB"
            )
        said = f"{speed:.1f} MB/s, so a net of {_NET_MB} MB takes {_NET_MB / speed:.0f} s"
        if speed < _SLOW_MB_S:
            return make_note(
                "upload", said, "ask the network's IT for more; the coordinator's deadline must allow for it"
            )
        return make_ok("upload", said)

    def _kit(self) -> Kit:
        return load_kit(self.courier, utc_now())

    def _front(self) -> ProbeResult:
        if self._reached is None:
            self._reached = probe_coordinator(self._kit().address, self.courier.ca, utc_now())
        return self._reached


def ports() -> Finding:
    """SuperNode and runner meet on this machine; nothing listens for others."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname(), 2.0):
            return make_ok("ports", "loopback works; no port is opened to the network")
    except OSError as error:
        return make_fault(
            "ports", f"no connection on 127.0.0.1 ({error.strerror})", "let a local firewall pass loopback"
        )
