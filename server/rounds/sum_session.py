"""One session of a secure sum at the coordinator: boxes, masked answers, confirmations, shares."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from ceus_models.plan.answers.secure_layout import Words, find_words
from ceus_models.plan.terms.participation import Fate
from ceus_models.protocol.encoding import count_bytes
from ceus_models.protocol.messages import Kind, Refusal, Session, Task, Update
from ceus_models.protocol.privacy import secure_session as shared
from ceus_models.protocol.privacy.fixed_point import Ring, extend_sign, from_words
from ceus_models.protocol.privacy.masks import KEY_BYTES
from ceus_models.protocol.privacy.secure_levels import LEAST_SITES
from ceus_models.protocol.privacy.secure_session import BOX_BYTES, TAG_BYTES, make_bytes_tensor
from ceus_models.protocol.privacy.shamir import SHARE_BYTES
from ceus_models.protocol.state import State
from ceus_models.protocol.task_id import compute_task_id
from server.rounds.opening_file import Pending
from server.rounds.round import Call, Link, Lost
from server.rounds.unmasking import MaskedTotal

Shapes = Mapping[str, tuple[tuple[int, ...], torch.dtype]]


@dataclass(eq=False)
class SumSession:
    """One try of a round.

    Args:
        roster: channel keys, in the order of the session's sites.
        fates: of the sites that gave no masked answer.
        restarted: whether a site has forgotten the session, so that a new one would bring it back.
        declined: why a site did not confirm or open the sum.
        trouble: why no total came of it.
        sent, received: bytes of all messages.
    """

    link: Link
    call: Call
    session: Session
    roster: bytes
    boxes: bytes = b""
    fates: dict[str, tuple[Fate, str]] = field(default_factory=dict)
    restarted: bool = False
    declined: dict[str, str] = field(default_factory=dict)
    trouble: str = ""
    sent: int = 0
    received: int = 0

    @property
    def least(self) -> int:
        """Sites that must be in the sum."""
        return max(self.session.threshold, LEAST_SITES)

    def gather(self) -> MaskedTotal | None:
        """Ask for boxes, then for masked answers; their sum, or None where too few sites are in it."""
        mask_keys = self._collect_boxes()
        if len(mask_keys) < self.least:
            self._fail(f"{self.least} sites must offer boxes", len(mask_keys))
            return None
        task = self.call.task
        words = find_words(task, len(self.session.sites))
        vector = np.zeros(words.wide + words.narrow, np.uint64)
        inputs = {**task.inputs, shared.BOXES: self._boxes_tensor()}
        survivors: list[str] = []
        asked = replace(task, session=self.session, inputs=inputs)
        for site, masked in self._collect_masked(asked, tuple(mask_keys), words):
            vector[: words.wide] += masked[shared.MASKED].contiguous().numpy().view(np.uint64)
            if words.narrow:
                vector[words.wide :] += from_words(masked[shared.NARROW])
            survivors.append(site)
            self.call.tell(site, "counted", "")
        if len(survivors) < self.least:
            self._fail(f"{self.least} sites must give a masked answer", len(survivors))
            return None
        binding = shared.compute_binding(self._id, self.boxes, shared.compute_subject(task))
        return MaskedTotal(self.session, binding, mask_keys, tuple(sorted(survivors)), vector)

    def open(self, masked: MaskedTotal) -> Ring | None:
        """Let the sites confirm one view, then ask for their shares; the total without masks, or None."""
        count = len(self.session.sites)
        tags = dict.fromkeys(self.session.sites, bytes(count * TAG_BYTES))
        shapes: Shapes = {shared.TAGS: ((count, TAG_BYTES), torch.uint8)}
        answers = self._ask(self._unmask(masked), masked.survivors, shapes)
        confirmed = {site: sums[shared.TAGS].numpy().tobytes() for site, sums in answers}
        tags |= confirmed
        if len(confirmed) < self.session.threshold:
            self._fail(f"{self.session.threshold} sites must confirm the sum", len(confirmed))
            return None
        given = make_bytes_tensor(b"".join(tags.values()), count, count, TAG_BYTES)
        shares: dict[str, bytes] = {}
        for _ in range(2):  # a site that was busy or away for a moment opens at the second time
            left = [site for site in masked.survivors if site not in shares]
            shapes = {shared.SHARES: ((count, SHARE_BYTES), torch.uint8)}
            answers = self._ask(self._unmask(masked, {shared.TAGS: given}), left, shapes)
            shares |= {site: sums[shared.SHARES].numpy().tobytes() for site, sums in answers}
            if len(shares) >= self.session.threshold:
                return self._unmask_total(masked, shares)
        self._fail(f"{self.session.threshold} sites must open the sum", len(shares))
        return None

    def pend(self, question: str, masked: MaskedTotal) -> Pending:
        """What is kept of this session before it is opened."""
        return Pending(question, masked, self.roster, self.boxes, dict(self.fates))

    @property
    def _id(self) -> str:
        return shared.compute_session_id(self.session, self.roster)

    def _unmask_total(self, masked: MaskedTotal, shares: Mapping[str, bytes]) -> Ring | None:
        try:
            vector = masked.unmask(shares)
        except ValueError as error:
            self.trouble = str(error)
            return None
        words = find_words(self.call.task, len(self.session.sites))
        vector[words.wide :] = extend_sign(vector[words.wide :], words.word_bytes)
        return vector

    def _collect_boxes(self) -> dict[str, bytes]:
        """The public mask key of every site that offered boxes."""
        count = len(self.session.sites)
        shapes: Shapes = {
            shared.BOXES: ((count, BOX_BYTES), torch.uint8),
            shared.MASK_KEY: ((KEY_BYTES,), torch.uint8),
        }
        rows: dict[str, bytes] = dict.fromkeys(self.session.sites, bytes(count * BOX_BYTES))
        keys: dict[str, bytes] = {}
        for site, sums in self._ask(self._message("offer", {}), self.session.sites, shapes):
            rows[site] = sums[shared.BOXES].numpy().tobytes()
            keys[site] = sums[shared.MASK_KEY].numpy().tobytes()
        self.boxes = b"".join(rows.values())
        return {site: keys[site] for site in self.session.sites if site in keys}

    def _collect_masked(self, task: Task, sites: Sequence[str], words: Words) -> Iterator[tuple[str, State]]:
        """Masked answers as they arrive; a site that lacks the frozen sub-models is asked once more with them."""
        shapes: Shapes = {shared.MASKED: ((words.wide,), torch.int64)}
        if words.narrow:
            shapes = {**shapes, shared.NARROW: ((words.narrow, words.word_bytes), torch.uint8)}
        without: list[str] = []
        yield from self._ask(task, sites, shapes, without)
        if without:
            whole = replace(task, inputs={**self.call.frozen(), **task.inputs})
            yield from self._ask(whole, sorted(without), shapes)

    def _ask(
        self, task: Task, sites: Sequence[str], shapes: Shapes, without_frozen: list[str] | None = None
    ) -> Iterator[tuple[str, State]]:
        """The sums of every good answer, as they arrive; the fate of the others is noted."""
        waiting = set(sites)
        self.sent += count_bytes(task) * len(waiting)
        for site, answer in self.link.ask(task, sites):
            if site not in waiting:
                continue  # only the first answer of a site counts
            waiting.discard(site)
            self.received += 0 if isinstance(answer, Lost) else count_bytes(answer)
            if without_frozen is not None and isinstance(answer, Refusal) and answer.code == "needs_frozen":
                without_frozen.append(site)
            elif isinstance(answer, Update) and (fault := _find_fault(task, site, answer, shapes)) is None:
                yield site, answer.sums
            elif isinstance(answer, Update):
                self._note(task, site, "excluded", str(fault))
            elif isinstance(answer, Lost):
                self._note(task, site, "lost", answer.reason)
            else:
                self.restarted |= answer.code == "session" and task.kind not in ("offer", "unmask")
                self._note(task, site, "refused", answer.reason)
        for site in sorted(waiting):
            self._note(task, site, "lost", "gave no answer")

    def _note(self, task: Task, site: str, fate: Fate, reason: str) -> None:
        if task.kind == "unmask":  # its masked answer stays in the sum
            self.declined[site] = reason
            return
        self.fates[site] = fate, reason
        self.call.tell(site, fate, reason)

    def _fail(self, rule: str, count: int) -> None:
        """Say why no total came of it, with each site's reason."""
        reasons = "; ".join(f"{site}: {reason}" for site, reason in sorted(self.declined.items()))
        self.trouble = f"{rule}, {count} did" + (f" ({reasons})" if reasons else "")

    def _message(self, kind: Kind, inputs: State, survivors: tuple[str, ...] = ()) -> Task:
        """A message before or after the task, which says as much of it as a site must know to decide."""
        asked = replace(self.call.task, kind=kind, recipe=None, frozen="", replicates=0, plan="")
        roster = make_bytes_tensor(self.roster, len(self.session.sites), KEY_BYTES)
        given = {shared.ROSTER: roster, **inputs}
        return replace(asked, inputs=given, session=self.session, survivors=survivors, roster=self.call.roster)

    def _unmask(self, masked: MaskedTotal, inputs: State | None = None) -> Task:
        subject = make_bytes_tensor(bytes.fromhex(shared.compute_subject(self.call.task)), KEY_BYTES)
        given = {shared.BOXES: self._boxes_tensor(), shared.SUBJECT: subject, **(inputs or {})}
        return self._message("unmask", given, masked.survivors)

    def _boxes_tensor(self) -> Tensor:
        return make_bytes_tensor(self.boxes, len(self.session.sites), len(self.session.sites), BOX_BYTES)


def begin_session(link: Link, call: Call, roster: Mapping[str, bytes]) -> SumSession:
    """A new session of these sites. roster: site → public channel key."""
    sites = tuple(sorted(roster))
    session = Session(os.urandom(16).hex(), sites, shared.compute_threshold(len(sites)))
    return SumSession(link, call, session, b"".join(roster[site] for site in sites))


def continue_session(link: Link, call: Call, pending: Pending) -> SumSession:
    """The session of a total that was being opened."""
    return SumSession(link, call, pending.masked.session, pending.roster, pending.boxes, dict(pending.fates))


def _find_fault(task: Task, site: str, update: Update, shapes: Shapes) -> str | None:
    """What is wrong with the form of an answer; nothing else of it can be looked at."""
    if update.site != site:
        return f"the answer must name the site {site!r}, found {update.site!r}"
    if update.task != compute_task_id(task):
        return "the answer must be to this session's task, but is to another"
    if update.sums.keys() != shapes.keys():
        return f"the answer must hold {', '.join(shapes)}, found {', '.join(sorted(update.sums)[:5])}"
    for name, (shape, dtype) in shapes.items():
        found = update.sums[name]
        if tuple(found.shape) != shape or found.dtype != dtype:
            return f"{name} must be {shape} {dtype}, found {tuple(found.shape)} {found.dtype}"
    return None
