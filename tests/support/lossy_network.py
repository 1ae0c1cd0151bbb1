"""Hosts with a network of their own on one machine, joined by a line that delays packets and loses some.

A host is a network namespace with one TUN device. A process of its own, the line, holds the other ends of all devices,
hands each IP packet to the host that it is addressed to, a fixed time later, or drops it. So TCP on both sides is the
kernel's own and meets real delay and real loss. `tc netem` does the same, but not every kernel has it.

Needs Linux, root, iproute2 and /dev/net/tun; reaches nothing outside. The hosts vanish with the context manager; what a
killed one left is swept by the next.
"""

from __future__ import annotations

import fcntl
import ipaddress
import json
import os
import random
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

_TUN = Path("/dev/net/tun")
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_PREFIX = "ceus-"
_LONGEST_PACKET = 65_536
_WIDTH = 24
_CAPABILITIES = 1 << 12 | 1 << 21  # CAP_NET_ADMIN, CAP_SYS_ADMIN: root of a container may lack them


@dataclass(frozen=True)
class Line:
    """delay_s: of every packet, one way · loss: share of packets that are dropped · only: where a host is named, it
    reaches and is reached by these hosts alone, as behind a firewall.
    """

    delay_s: float
    loss: float
    seed: int = 1
    only: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass
class Network:
    """addresses: of the hosts, by name · counts: packets by what became of them, filled when the network is gone."""

    addresses: dict[str, str]
    counts: dict[str, int] = field(default_factory=dict)

    def within(self, host: str) -> list[str]:
        """What stands before a command that is to run on a host."""
        return ["ip", "netns", "exec", _namespace(os.getpid(), host)]


@contextmanager
def network(hosts: Sequence[str], line: Line) -> Iterator[Network]:
    """Hosts 10.77.0.1, 10.77.0.2 and so on, in the order of their names here."""
    _sweep()
    made = Network({host: f"10.77.0.{number}" for number, host in enumerate(hosts, 1)})
    ends: dict[str, int] = {}
    try:
        for host, address in made.addresses.items():
            ends[host] = _plugged(_namespace(os.getpid(), host), address)
        process = _started(ends, made.addresses, line)
        try:
            yield made
        finally:
            said, _ = process.communicate(timeout=30)  # the end of its input is the end of the line
            made.counts = json.loads(said)
    finally:
        for end in ends.values():
            os.close(end)
        for host in hosts:
            _ip("netns", "del", _namespace(os.getpid(), host), check=False)


def possible() -> bool:
    """Whether this process may make such hosts."""
    if sys.platform != "linux" or not _TUN.exists() or shutil.which("ip") is None:
        return False
    held = re.search(r"^CapEff:\s*([0-9a-f]+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    return held is not None and int(held[1], 16) & _CAPABILITIES == _CAPABILITIES


def _namespace(pid: int, host: str) -> str:
    return f"{_PREFIX}{pid}-{host}"


def _plugged(namespace: str, address: str) -> int:
    """A new namespace with a device; the file behind the device."""
    end = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK)
    made = fcntl.ioctl(end, _TUNSETIFF, struct.pack("16sH22x", b"ceus%d", _IFF_TUN | _IFF_NO_PI))
    device = made[:16].rstrip(b"\0").decode()
    _ip("netns", "add", namespace)
    _ip("link", "set", device, "netns", namespace)
    _ip("-n", namespace, "addr", "add", f"{address}/{_WIDTH}", "dev", device)
    _ip("-n", namespace, "link", "set", device, "up")
    _ip("-n", namespace, "link", "set", "lo", "up")
    return end


def _started(ends: Mapping[str, int], addresses: Mapping[str, str], line: Line) -> subprocess.Popen[bytes]:
    told = {"ends": dict(ends), "addresses": dict(addresses), "line": asdict(line)}
    command = [sys.executable, "-m", "tests.support.lossy_network", json.dumps(told)]
    root = str(Path(__file__).parents[2])
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=tuple(ends.values()), cwd=root
    )


def _ip(*words: str, check: bool = True) -> str:
    return subprocess.run(["ip", *words], check=check, capture_output=True, text=True, timeout=30).stdout


def _sweep() -> None:
    """Namespaces of processes that are no more."""
    for name in re.findall(rf"^{_PREFIX}\d+-\S+", _ip("netns", "list"), re.MULTILINE):
        pid = int(name.removeprefix(_PREFIX).partition("-")[0])
        if not Path(f"/proc/{pid}").exists():
            _ip("netns", "del", name, check=False)


class _Carrier:
    """The line itself."""

    def __init__(self, ends: Mapping[str, int], addresses: Mapping[str, str], line: Line) -> None:
        self._line, self._random = line, random.Random(line.seed)
        self._ends = {ipaddress.ip_address(addresses[host]).packed: end for host, end in ends.items()}
        packed = {host: ipaddress.ip_address(address).packed for host, address in addresses.items()}
        self._only = {packed[host]: {packed[other] for other in others} for host, others in line.only.items()}
        self._under_way: deque[tuple[float, int, bytes]] = deque()  # one delay for all: first in, first out
        self.counts: Counter[str] = Counter(carried=0, lost=0, refused=0)

    def carry(self, stop: int) -> None:
        """Until `stop` can be read."""
        files = [stop, *self._ends.values()]
        while True:
            wait = max(self._under_way[0][0] - time.monotonic(), 0.0) if self._under_way else None
            ready, _, _ = select.select(files, [], [], wait)
            if stop in ready:
                return
            for end in ready:
                self._take(end)
            self._hand_on()

    def _take(self, end: int) -> None:
        with suppress(BlockingIOError):
            while packet := os.read(end, _LONGEST_PACKET):
                if packet[0] >> 4 != 4:
                    continue  # IPv6 looks for routers
                source, target = packet[12:16], packet[16:20]
                if target not in self._ends or not (self._lets(source, target) and self._lets(target, source)):
                    self.counts["refused"] += 1
                elif self._random.random() < self._line.loss:
                    self.counts["lost"] += 1
                else:
                    self._under_way.append((time.monotonic() + self._line.delay_s, self._ends[target], packet))

    def _lets(self, one: bytes, other: bytes) -> bool:
        return one not in self._only or other in self._only[one]

    def _hand_on(self) -> None:
        while self._under_way and self._under_way[0][0] <= time.monotonic():
            _, end, packet = self._under_way.popleft()
            with suppress(OSError):  # a full queue drops it, as a router would
                os.write(end, packet)
                self.counts["carried"] += 1


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started it
    told = json.loads(sys.argv[1])
    carrier = _Carrier(told["ends"], told["addresses"], Line(**told["line"]))
    carrier.carry(sys.stdin.fileno())
    print(json.dumps(carrier.counts))


if __name__ == "__main__":
    main()
