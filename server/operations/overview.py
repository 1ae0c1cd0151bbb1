"""How the sites and the run of a study stand, from what lies in the coordinator's folder, while it runs and after."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ceus_models.plan.progress import CurvePoint, Progress
from ceus_models.plan.terms.deadlines import Deadlines, ResponseTimes
from ceus_models.plan.terms.participation import RoundRecord, list_silent_sites
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.liveness.moment import Moment, compute_age, read_clock
from server.federation.expiry import Validity
from server.operations.estimate import estimate_study
from server.operations.liveness import Observations, Trouble, coordinator_heartbeat, find_trouble
from server.rounds.saving.checkpoint_header import read_newest
from server.run_folder.journal import Journal
from server.run_folder.orders import State, read_state
from server.run_folder.paths import StudyFolder
from server.transport.audit_watch import AuditWatch
from server.transport.message_log import LoggedMessage, read_messages


@dataclass
class SiteStatus:
    """A site in the run. connected: None where the SuperLink is not running · doing: what it does in the round under
    way (asked, or its fate) · share: of the time that it took lately, 0-1, None without a history · rounds: how often
    it was counted, idle, refused, excluded or lost · sent, received: bytes to and from it, of the round and of all ·
    withdrawn: patients of the study who have withdrawn there · software: versions and the package's digest ·
    alarm: of its audit.
    """

    connected: bool | None = None
    admitted: bool = False
    lesions: int = 0
    doing: str = ""
    reason: str = ""
    seconds: float | None = None
    usual_s: float | None = None
    share: float | None = None
    rounds: dict[str, int] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=lambda: {"round": 0, "all": 0})
    received: dict[str, int] = field(default_factory=lambda: {"round": 0, "all": 0})
    late: int = 0
    withdrawn: int = 0
    software: str = ""
    look_at: str = ""
    alarm: str = ""


@dataclass(frozen=True)
class Overview:
    """up: whether the daemon lives · state: of the run · round: the one under way, or the last · trouble: why the run
    does not get on · doing: what the coordinator said last that it does · estimate: how far a run under way is, and
    how long it still takes.
    """

    up: bool
    state: State
    round: Mapping[str, Any]
    sites: Mapping[str, SiteStatus]
    rounds: tuple[Mapping[str, Any], ...]
    trouble: Trouble | None = None
    doing: str = ""
    study: str = ""
    estimate: str = ""

    def as_json(self, validity: Validity) -> dict[str, Any]:
        """Everything, with the certificates of `validity`, for a machine."""
        found = dict(validity.as_json())
        lines = {line.name: asdict(line) for line in validity.sites}
        names = sorted({*lines, *self.sites})
        found["sites"] = [{"name": name, **lines.get(name, {}), **asdict(self._site(name))} for name in names]
        trouble = asdict(self.trouble) if self.trouble else None
        run = {
            **self.state.model_dump(exclude={"order"}),
            "trouble": trouble,
            "doing": self.doing,
            "estimate": self.estimate,
        }
        run |= {"round": self.round, "rounds": list(self.rounds)}
        return {**found, "up": self.up, "study": self.study, "run": run}

    def _site(self, name: str) -> SiteStatus:
        return self.sites.get(name, SiteStatus())


def build_overview(
    study: StudyFolder, up: bool, online: Collection[str] | None, names: Collection[str] = ()
) -> Overview:
    """online: the sites that are connected, None where the SuperLink cannot be asked · names: all that may be."""
    saved = read_newest(study.run) or Progress()
    events = Journal(study.run).read_current_round()
    sites = {name: SiteStatus(admitted=True, lesions=sum(held.values())) for name, held in saved.counts.items()}
    _count_rounds(saved.participation, sites)
    latest = _summarize_events(events, sites)
    audits = _count_messages(read_messages(study.run), latest, sites)
    for name in sorted({*sites, *names, *(online or ())}):
        site = sites.setdefault(name, SiteStatus())
        site.connected = None if online is None else name in online
    for name, reason in list_silent_sites(saved.participation).items():
        sites[name].look_at = reason
    for name, alarm in {**audits.moved, **audits.alarms}.items():
        sites[name].look_at = sites[name].alarm = alarm
    told = tuple(_summarize_round(record, saved.curves) for record in saved.participation)
    state, beat = read_state(study), coordinator_heartbeat(study).last()
    under_way = state.phase in ("running", "stopping")
    doing = beat.doing if beat and under_way else ""
    trouble = find_trouble(study, state, Observations(up, online, read_clock()))
    return Overview(up, state, latest, sites, told, trouble, doing, study.name, _estimate(study) if under_way else "")


def _estimate(study: StudyFolder) -> str:
    try:
        found = estimate_study(study)
    except ExpectedError:
        return "how long it takes is not known: the plan cannot be read"
    return str(found) if found else ""


def _count_rounds(records: tuple[RoundRecord, ...], sites: dict[str, SiteStatus]) -> None:
    for record in records:
        for fate in ("counted", "idle", "refused", "excluded", "lost"):
            for name in getattr(record, fate):
                rounds = sites.setdefault(name, SiteStatus()).rounds
                rounds[fate] = rounds.get(fate, 0) + 1
        for name, reason in {**record.lost, **record.excluded, **record.refused}.items():
            sites[name].reason = f"{record.stage}, {record.kind} {record.round}: {reason}"


def _summarize_events(events: list[dict[str, Any]], sites: dict[str, SiteStatus]) -> dict[str, Any]:
    """The round of `events`, and what each site does in it."""
    if not events:
        return {}
    begun, over = events[0], any(event["event"] == "Finished" for event in events)
    start = _moment(begun)
    age_s = compute_age(start, read_clock())
    for name in begun["sites"]:
        site = sites.setdefault(name, SiteStatus())
        site.doing, site.seconds = ("" if over else "asked"), None if over else age_s
    for event in events[1:]:
        if event["event"] == "Answered":
            site = sites.setdefault(event["site"], SiteStatus())
            site.doing, site.seconds = event["fate"], compute_age(start, _moment(event))
            site.reason = event["reason"] or site.reason
    names = ("stage", "kind", "round", "step", "steps")
    return {name: begun[name] for name in names} | {
        "asked": list(begun["sites"]),
        "over": over,
        "begun": begun["at"],
        "age_s": age_s,
    }


def _moment(event: Mapping[str, Any]) -> Moment:
    return Moment(event["at"], event.get("running", 0.0), event.get("boot", ""))


def _count_messages(
    found: Iterable[LoggedMessage], latest: Mapping[str, Any], sites: dict[str, SiteStatus]
) -> AuditWatch:
    """Take over bytes, times and withdrawals; what is known of the sites' audits."""
    histories, audits = ResponseTimes(Deadlines()), AuditWatch()
    for line in found:
        histories.load_line(line)
        audits.load_line(line)
        site = sites.setdefault(line["site"], SiteStatus())
        here = all(line[name] == latest.get(name) for name in ("stage", "kind", "round"))
        way = {"sent": site.sent, "came": site.received, "late": site.received}.get(line["event"], {})
        for span in ("all", "round") if here else ("all",):
            way[span] = way.get(span, 0) + line.get("bytes", 0)
        site.late += line["event"] == "late"
    for site_name, site in sites.items():
        usual = histories.estimate(site_name, latest.get("stage", ""), latest.get("kind", ""))
        site.usual_s, site.withdrawn = usual, audits.withdrawn.get(site_name, 0)
        site.software = audits.software.get(site_name, "")
        if usual and site.doing == "asked" and site.seconds is not None:
            site.share = min(site.seconds / usual, 1.0)
    return audits


def _summarize_round(record: RoundRecord, curves: tuple[CurvePoint, ...]) -> dict[str, Any]:
    curve = {"train": "training", "evaluate": "validation"}.get(record.kind)
    points = [p for p in curves if (p.stage, p.round, p.curve) == (record.stage, record.round, curve)]
    return {**asdict(record), "curves": {p.net: p.loss for p in points}}
