"""The status as gauges in the text format of Prometheus; those of a study have its name as a label.

`ceus-coordinator status --prometheus` prints them for node_exporter's textfile collector; the console serves them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from server.operations.overview import Overview, SiteStatus
from server.operations.snapshot import Snapshot

HELP = {
    "ceus_up": "1 while the daemon lives",
    "ceus_run": "1 for the phase in which the run is",
    "ceus_run_changed_seconds": "When the run came into its phase, in seconds since 1970",
    "ceus_run_trouble": "1 while something hinders the run: status says what",
    "ceus_rounds_total": "Rounds that are finished",
    "ceus_round_seconds": "How long the last finished round took",
    "ceus_round_missing": "Sites that were asked in the last finished round and not counted, but for idle ones",
    "ceus_loss": "Loss of a net in the last finished round that has one",
    "ceus_certificate_days": "Days until a certificate of this side ends",
    "ceus_site_certificate_days": "Days until a site's certificate ends",
    "ceus_site_connected": "1 while the site is connected; absent while the SuperLink cannot be asked",
    "ceus_site_rounds_total": "Rounds of a site by what became of them",
    "ceus_site_bytes_total": "Bytes to (sent) and from (received) a site",
    "ceus_site_late_total": "Answers that came after their round",
    "ceus_site_look_at": "1 where somebody must look at the site",
}
"""Name of a gauge → what it says."""

Sample = tuple[str, Mapping[str, str], float]
"""Name, labels, value."""


def render_metrics(found: Snapshot) -> str:
    """All gauges, with their descriptions, as Prometheus reads them."""
    lines: list[str] = []
    told: set[str] = set()
    for name, labels, value in sorted(_samples(found), key=lambda sample: list(HELP).index(sample[0])):
        if name not in told:
            told.add(name)
            kind = "counter" if name.endswith("_total") else "gauge"
            lines += [f"# HELP {name} {HELP[name]}", f"# TYPE {name} {kind}"]
        inside = ",".join(f'{key}="{_escape(text)}"' for key, text in labels.items())
        lines.append(f"{name}{{{inside}}} {value:g}" if inside else f"{name} {value:g}")
    return "\n".join(lines) + "\n"


def _samples(found: Snapshot) -> Iterator[Sample]:
    yield "ceus_up", {}, float(found.up)
    for line in found.validity.servers:
        if line.days_left is not None:
            yield "ceus_certificate_days", {"name": line.name}, float(line.days_left)
    for line in found.validity.sites:
        if line.days_left is not None:
            yield "ceus_site_certificate_days", {"site": line.name}, float(line.days_left)
    yield from _connected(found)
    for study, seen in found.studies.items():
        for name, labels, value in (*_run(seen), *_rounds(seen), *_sites(seen)):
            yield name, {"study": study, **labels}, value


def _connected(found: Snapshot) -> Iterator[Sample]:
    """A site is connected to the federation, whatever studies there are."""
    sites = {name: site for seen in found.studies.values() for name, site in seen.sites.items()}
    for name, site in sorted(sites.items()):
        if site.connected is not None:
            yield "ceus_site_connected", {"site": name}, float(site.connected)


def _run(seen: Overview) -> Iterator[Sample]:
    yield "ceus_run", {"phase": seen.state.phase}, 1.0
    yield "ceus_run_changed_seconds", {}, seen.state.at
    yield "ceus_run_trouble", {}, float(seen.trouble is not None)


def _rounds(seen: Overview) -> Iterator[Sample]:
    yield "ceus_rounds_total", {}, float(len(seen.rounds))
    if seen.rounds:
        last = seen.rounds[-1]
        yield "ceus_round_seconds", {}, float(last["seconds"])
        yield "ceus_round_missing", {}, float(sum(len(last[fate]) for fate in ("refused", "excluded", "lost")))
    curves = next((record for record in reversed(seen.rounds) if record["curves"]), None)
    if curves:
        for net, loss in curves["curves"].items():
            yield "ceus_loss", {"stage": curves["stage"], "kind": curves["kind"], "net": net}, float(loss)


def _sites(seen: Overview) -> Iterator[Sample]:
    for name, site in sorted(seen.sites.items()):
        yield from _site(name, site)


def _site(name: str, site: SiteStatus) -> Iterator[Sample]:
    for fate, count in sorted(site.rounds.items()):
        yield "ceus_site_rounds_total", {"site": name, "fate": fate}, float(count)
    for way, sizes in (("sent", site.sent), ("received", site.received)):
        yield "ceus_site_bytes_total", {"site": name, "way": way}, float(sizes["all"])
    yield "ceus_site_late_total", {"site": name}, float(site.late)
    yield "ceus_site_look_at", {"site": name}, float(bool(site.look_at))


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
