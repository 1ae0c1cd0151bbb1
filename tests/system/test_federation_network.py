"""Eight sites, each in a network of its own and 50 ms away, on a line that loses 1 % of all packets: the same numbers.

Two runs: first two of the sites are behind a firewall that lets them reach an HTTPS proxy alone, then all eight go
through that proxy.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from connect_proxy import PASSWORD, USER

from benchmarks.faults import SEED
from ceus_models.plan.plan import load_plan
from ceus_models.runtime.process_tree import ProcessGroup
from ceus_models.study.taxonomy import OUTPUTS
from tests.support.lossy_network import Line, Network, network, possible
from tests.support.made_sites import digests_in_memory, digests_of_run, held_by, made_site
from tests.support.real_federation import COORDINATOR, ENVIRONMENT, NGINX, ROOT, Federation, command, here, wait

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(2400),
    pytest.mark.skipif(NGINX is None, reason="needs nginx (Debian: nginx-light)"),
    pytest.mark.skipif(not possible(), reason="needs Linux, root, iproute2 and /dev/net/tun"),
]
PLAN, LESIONS = ROOT / "configs" / "plan.smoke.yaml", 6
CENTERS = (1, 2, 3, 37, 38, 50, 51, 52)
NAMES = tuple(f"site-{number:02d}" for number in CENTERS)
FENCED = ("site-02", "site-50")
PROXY, PROXY_PORT = "proxy", 3128
DELAY_S, LOSS = 0.05, 0.01


@dataclass
class Away:
    """The federation, its network, and the digests of the run in memory."""

    federation: Federation
    net: Network
    digests: dict[str, str]

    def through(self, names: Sequence[str]) -> None:
        """These sites use the proxy, the others do not."""
        url = f"http://{USER}:{quote(PASSWORD, safe='')}@{self.net.addresses[PROXY]}:{PROXY_PORT}"
        self.federation.proxies = dict.fromkeys(names, url)

    def asked_the_proxy(self) -> dict[str, set[str]]:
        """Site → what it asked for."""
        of = {address: name for name, address in self.net.addresses.items()}
        found: dict[str, set[str]] = {}
        for line in self.federation.fleet.log_path(PROXY).read_text().splitlines():
            told = json.loads(line)
            found.setdefault(of[told["from"]], set()).add(told["asked"])
        return found


@pytest.fixture(scope="module")
def away(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Away]:
    scratch = tmp_path_factory.mktemp("away")
    plan = load_plan(PLAN)
    centers = dict(zip(NAMES, CENTERS, strict=True))
    hospitals = {n: made_site(scratch / n, c, held_by(c, LESIONS), plan.processing) for n, c in centers.items()}
    fenced = {name: [PROXY] for name in FENCED}
    with ExitStack() as stack:
        line = Line(DELAY_S, LOSS, SEED, fenced)
        net = stack.enter_context(network([COORDINATOR, PROXY, *NAMES], line))
        fleet = stack.enter_context(ProcessGroup(scratch / "logs"))
        within = {name: net.within(name) for name in (COORDINATOR, *NAMES)}
        made = Federation(scratch / "study", hospitals, fleet, here, net.addresses[COORDINATOR], within)
        made.join_all(PLAN, SEED)
        made.up()
        made.open_front()
        ask = [
            sys.executable,
            str(Path(__file__).parents[1] / "support" / "connect_proxy.py"),
            "0.0.0.0",
            str(PROXY_PORT),
        ]
        fleet.start(PROXY, [*net.within(PROXY), *ask, f"{made.address}:{made.front}"], ENVIRONMENT)
        yield Away(made, net, digests_in_memory(plan, hospitals, SEED, scratch / "memory"))
        for name in (*NAMES, "up"):
            made.stop(name)
    print(net.counts)
    assert net.counts["lost"] > 0


def ran(away: Away) -> None:
    """The whole plan, and its numbers."""
    made = away.federation
    made.serve_all()
    assert "done; report:" in command("ceus-coordinator", "run", made.study)
    assert digests_of_run(load_plan(PLAN), made.of_study() / "run", SEED) == away.digests
    assert set(away.digests) == set(OUTPUTS)
    found = made.status()
    assert {site["name"]: site["connected"] for site in found["sites"]} == dict.fromkeys(NAMES, True)
    rounds = found["run"]["rounds"]
    assert all(record["counted"] and not record["lost"] for record in rounds)
    print([(record["kind"], round(record["seconds"], 1)) for record in rounds])


def test_eight_sites_far_away_two_of_them_behind_a_proxy_give_the_numbers_of_the_run_in_memory(away: Away) -> None:
    away.through(FENCED)
    ran(away)
    front = f"CONNECT {away.federation.address}:{away.federation.front}"
    assert away.asked_the_proxy() == {name: {front} for name in FENCED}


def test_and_so_do_all_eight_through_the_proxy(away: Away) -> None:
    made = away.federation
    for name in NAMES:
        made.stop(name)
    made.forget_run()
    away.through(NAMES)
    wait(lambda: not any(site["connected"] for site in made.status()["sites"]), 120, "the end of the nodes' leases")
    ran(away)
    assert set(away.asked_the_proxy()) == set(NAMES)
