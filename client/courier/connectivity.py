"""Whether the coordinator's front door can be reached from here, by the very way that Flower takes, and why not.

Flower's client is httpx, which takes the proxy from HTTPS_PROXY and the exceptions from NO_PROXY; so does this file.
"""

from __future__ import annotations

import re
import socket
import ssl
import urllib.parse
import urllib.request
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx

from ceus_models.pki.enrolment import ADDRESS_HEADER, CLOCK_TOLERANCE

_CALL, _UPLOAD = "/v1/fleet/pull-messages", "/v1/fleet/push-object"
_KIND = {"content-type": "application/protobuf", "accept": "application/protobuf"}
_UNSIGNED = {400, 401, 403, 422}  # what a SuperLink says to a call without a key
_ADDRESS = re.compile(r"([A-Za-z0-9.:\[\]-]{3,262})(?: (\d{4}-\d{2}-\d{2}))?")
_NTP = "set it by NTP (`timedatectl set-ntp true`)"
_EXPIRED, _NOT_YET, _WRONG_NAME = 10, 9, 62  # OpenSSL's numbers of verification errors


@dataclass(frozen=True)
class ProbeResult:
    """fault: the cause, "" where all is well · remedy: what to do · ahead_s: of this machine's clock to the other ·
    moved: the coordinator's new address and until when this one holds, "" where the kit has the present one.
    """

    fault: str = ""
    remedy: str = ""
    ahead_s: float | None = None
    moved: str = ""

    def __str__(self) -> str:
        """One line."""
        return f"{self.fault}: {self.remedy}" if self.fault else "the coordinator's front door answers"


def probe_coordinator(address: str, ca: Path, now: datetime, timeout: float = 10.0) -> ProbeResult:
    """Make one unsigned call, as a SuperNode would. address: host:port of the kit · now: what this clock says."""
    try:
        trust = ssl.create_default_context(cafile=str(ca))
        with httpx.Client(verify=trust, timeout=timeout) as client:
            answer = client.post(f"https://{address}{_CALL}", content=b"", headers=_KIND)
    except (OSError, httpx.HTTPError, httpx.InvalidURL) as error:
        return _explain_unreachable(error, address)
    found = _interpret_status(answer.status_code, _ahead(answer.headers.get("date", ""), now), address)
    return replace(found, moved=_describe_move(answer.headers.get(ADDRESS_HEADER, ""), address))


def probe_upload(address: str, ca: Path, size: int, timeout: float = 60.0) -> int:
    """The status that a call with a body of `size` zeros gets, which is refused after it was read; 0 for no answer."""
    try:
        with httpx.Client(verify=ssl.create_default_context(cafile=str(ca)), timeout=timeout) as client:
            return client.post(f"https://{address}{_UPLOAD}", content=bytes(size), headers=_KIND).status_code
    except (OSError, httpx.HTTPError):
        return 0


def proxy_for(address: str) -> str:
    """The proxy that stands between, as host:port without a password; "" for none."""
    host = address.rpartition(":")[0].strip("[]")
    url = urllib.request.getproxies().get("https", "")
    if not url or urllib.request.proxy_bypass(host):
        return ""
    parts = urllib.parse.urlsplit(url if "//" in url else f"//{url}")
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


def _describe_move(told: str, address: str) -> str:
    """What the front door says of its address, of which nothing is taken over: the next kit brings it."""
    match = _ADDRESS.fullmatch(told)
    if not match or match[1] == address:
        return ""
    until = f", and {address} holds until {match[2]}" if match[2] else ""
    return f"the coordinator's address is {match[1]} now{until}"


def _ahead(date: str, now: datetime) -> float | None:
    try:
        return (now - parsedate_to_datetime(date)).total_seconds()
    except (ValueError, TypeError):
        return None


def _interpret_status(status: int, ahead_s: float | None, address: str) -> ProbeResult:
    if ahead_s is not None and abs(ahead_s) > CLOCK_TOLERANCE.total_seconds():
        way = "ahead of" if ahead_s > 0 else "behind"
        return ProbeResult(
            f"this machine's clock is {abs(ahead_s) / 60:.0f} min {way} the coordinator's, and every call is refused",
            f"{_NTP}; if it is right, tell the coordinator",
            ahead_s,
        )
    if status in _UNSIGNED:
        return ProbeResult(ahead_s=ahead_s)
    if status in (502, 503, 504):
        return ProbeResult(
            f"the front door at {address} is open, and the coordinator behind it does not run (HTTP {status})",
            "wait, or ask the coordinator; the site goes on by itself",
            ahead_s,
        )
    return ProbeResult(
        f"what answers at {address} is not the front door of this federation (HTTP {status})",
        "ask the coordinator for the address, and the network's IT whether a filter answers in its place",
        ahead_s,
    )


def _explain_unreachable(error: Exception, address: str) -> ProbeResult:
    proxy = proxy_for(address)
    through = f" through the proxy {proxy}" if proxy else ""
    causes = list(_chain(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _explain_untrusted(cause, address, through)
    if isinstance(error, httpx.ProxyError):
        return ProbeResult(
            f"the proxy {proxy} does not let this machine through ({str(error)[:80]})",
            f"have it allow CONNECT to {address}; where it asks for a password: HTTPS_PROXY=http://user:password@host:port",
        )
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return ProbeResult(
            f"the name {'of the proxy' if proxy else address.rpartition(':')[0]} is not known here",
            "correct the DNS of this machine; where names are known to a proxy only, set HTTPS_PROXY",
        )
    if isinstance(error, httpx.TimeoutException):
        return ProbeResult(
            f"nothing answers at {address}{through} in time",
            "have the firewall let this machine out to that address and port (TCP), or set HTTPS_PROXY",
        )
    return ProbeResult(
        f"no connection to {address}{through} ({type(causes[-1]).__name__})",
        "have the firewall let this machine out to that address and port (TCP), or set HTTPS_PROXY; if that is so, ask "
        "the coordinator whether the front door is open",
    )


def _explain_untrusted(error: ssl.SSLCertVerificationError, address: str, through: str) -> ProbeResult:
    if error.verify_code in (_EXPIRED, _NOT_YET):
        return ProbeResult(
            f"the front door's certificate is not valid by this machine's clock ({error.verify_message})",
            f"look at the clock first: {_NTP}; if it is right, ask the coordinator to run `ceus-coordinator renew`",
        )
    if error.verify_code == _WRONG_NAME:
        return ProbeResult(
            f"the certificate at {address}{through} is for another name",
            "ask the coordinator to put this name under names in federation.yaml and to run `ceus-coordinator init`",
        )
    return ProbeResult(
        f"the certificate at {address}{through} is not of this federation's CA ({error.verify_message})",
        "a proxy or firewall that opens TLS stands between: have it pass this address unopened; otherwise the address "
        "is another federation's",
    )


def _chain(error: BaseException) -> list[BaseException]:
    """The error and what caused it, the outermost first."""
    found: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in found:
        found.append(one)
        one = one.__cause__ or one.__context__
    return found
