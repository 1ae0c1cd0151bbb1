"""One round as a secure sum: sessions until one is opened, rules on the total, and the record of the round.

A site that was restarted has forgotten its masks: the session is void, nothing was opened, and a new one asks for the
same answers under fresh masks. A total that breaks a rule is void as well; the sites are asked again in two halves, and
so on, until the groups are too small to be asked alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from ceus_models.plan.answers.secure_layout import SecureTotal, list_layout, split_site_counts
from ceus_models.plan.terms.participation import Fate, RoundRecord
from ceus_models.protocol.privacy.fixed_point import Ring, unpack_totals
from ceus_models.protocol.privacy.secure_levels import LEAST_SITES
from ceus_models.protocol.privacy.secure_session import compute_subject
from ceus_models.protocol.state import State
from ceus_models.protocol.task_id import compute_task_id
from server.rounds.opening_file import OpeningFile
from server.rounds.roster_file import find_roster_faults
from server.rounds.round import Call, Link, build_record
from server.rounds.sum_session import SumSession, begin_session, continue_session
from server.rounds.total_screening import TotalGate, measure_steps, state_bounds
from server.rounds.unmasking import MaskedTotal

TRIES = 3
"""Sessions of a group of sites in one round."""


@dataclass(frozen=True)
class _Sum:
    """An opened total and the sites in it."""

    vector: Ring
    sites: tuple[str, ...]


@dataclass(eq=False)
class _SecureRound:
    link: Link
    call: Call
    keys: Mapping[str, bytes]
    file: OpeningFile
    gate: TotalGate
    fates: dict[str, tuple[Fate, str]] = field(default_factory=dict)
    sessions: list[SumSession] = field(default_factory=list)

    @property
    def question(self) -> str:
        return f"{compute_task_id(self.call.task)} {compute_subject(self.call.task)}"

    def settle(self, fate: Fate, reason: str, *sites: str) -> None:
        """Note the fate of some sites; the first one that is told of a site stands until the record corrects it."""
        for site in sites:
            self.fates[site] = fate, reason
            self.call.tell(site, fate, reason)

    def sum_group(self, sites: tuple[str, ...], whole: bool = False) -> list[_Sum]:
        """Good totals that together hold as many of these sites as can be."""
        opened = self._open(sites, whole)
        if opened is None:
            return []
        fault = self._find_fault(opened)
        if fault is None:
            return [opened]
        reason = f"{fault}, in the total over {', '.join(opened.sites)}: compare the audits of these sites"
        half = len(opened.sites) // 2
        if half < LEAST_SITES or self.call.task.level != "sums":  # with noise, each opening is charged
            self.settle("excluded", reason, *opened.sites)
            return []
        parts: list[_Sum] = []
        for group in (opened.sites[:half], opened.sites[half:]):
            found = self.sum_group(group)
            if not found:  # bad, or too small for the policy of its sites
                self.settle("excluded", reason, *(site for site in group if self.fates[site][0] != "excluded"))
            parts += found
        return parts

    def _open(self, sites: tuple[str, ...], whole: bool) -> _Sum | None:
        """The total over these sites, or those of them that answer. whole: whether these are all of the round."""
        pending = self.file.load(self.question) if whole else None
        if pending:
            session = continue_session(self.link, self.call, pending)
            self.sessions.append(session)
            opened = self._open_masked(session, pending.masked)
            if opened:
                return opened
        if len(sites) < LEAST_SITES:
            self.settle("lost", f"a secure sum needs {LEAST_SITES} sites, here are {len(sites)}", *sites)
            return None
        for number in range(1, TRIES + 1):
            session = begin_session(self.link, self.call, {site: self.keys[site] for site in sites})
            self.sessions.append(session)
            masked = session.gather()
            if session.restarted and number < TRIES:
                continue
            if masked is None:
                break
            if whole:
                self.file.save(session.pend(self.question, masked))
            if opened := self._open_masked(session, masked):
                return opened
        self.fates |= session.fates
        left = [site for site in sites if site not in session.fates]
        self.settle("lost", f"the secure sum came to nothing: {session.trouble}", *left)
        return None

    def _open_masked(self, session: SumSession, masked: MaskedTotal) -> _Sum | None:
        vector = session.open(masked)
        if vector is None:
            return None
        self.fates |= session.fates
        self.fates |= dict.fromkeys(masked.survivors, ("counted", ""))
        return _Sum(vector, masked.survivors)

    def _find_fault(self, opened: _Sum) -> str | None:
        try:
            total = split_site_counts(unpack_totals(opened.vector, list_layout(self.call.task)), self.call.task)
        except OverflowError as error:
            return str(error)
        return self.gate.find_fault(total.sums, opened.sites)


def gather_sums(link: Link, call: Call, keys: Mapping[str, str], file: OpeningFile) -> tuple[State, RoundRecord]:
    """Collect the answers of one round as a secure sum: the same as `gather_answers`, without the single answers.

    Args:
        keys: public channel keys by site, in hexadecimal digits.
        file: of a total that is being opened; it is kept until the round is saved.
    """
    stated = replace(call, task=state_bounds(call.gate), tell=_tell_once(call))
    strange = find_roster_faults(keys, call.roster)
    known = {site: bytes.fromhex(key) for site, key in keys.items()}
    taken = _SecureRound(link, stated, known, file, TotalGate(stated.task, call.gate.lesions))
    registered = tuple(sorted(link.sites()))
    for site in call.sites:
        if site not in registered:
            taken.settle("lost", "not connected", site)
        elif site not in known:
            taken.settle("refused", "it declared no key of secure sums in hello", site)
        elif site in strange:
            taken.settle("refused", strange[site], site)
    sites = tuple(sorted(site for site in call.sites if site not in taken.fates))
    good = taken.sum_group(sites, whole=True)
    total = _add_sums(good, stated)
    for site in call.sites:
        taken.fates.setdefault(site, ("lost", "not in the sum that was being opened"))
    counted = sum(len(one.sites) for one in good)
    record = build_record(stated, taken.fates, registered, measure_steps(stated.task, total.sums, counted))
    sent, received = (sum(getattr(session, way) for session in taken.sessions) for way in ("sent", "received"))
    return total.sums, replace(record, clipped=total.clipped, sent=sent, received=received)


def _add_sums(sums: list[_Sum], call: Call) -> SecureTotal:
    if not sums:
        return SecureTotal({}, {})
    vector = sums[0].vector
    for other in sums[1:]:
        vector = vector + other.vector
    return split_site_counts(unpack_totals(vector, list_layout(call.task)), call.task)


def _tell_once(call: Call) -> Callable[[str, Fate, str], None]:
    """Tell of each site once, though it may be asked several times."""
    told: set[str] = set()

    def tell(site: str, fate: Fate, reason: str) -> None:
        if site not in told:
            told.add(site)
            call.tell(site, fate, reason)

    return tell
