"""The site's half of a secure sum (Bonawitz et al. 2017): boxes for the others, one masked answer, shares that open.

A session's secrets are drawn when the site is asked to offer, and live in this process only. A site that was restarted
no longer knows the session and cannot mask under it again, so no mask ever covers two answers. What it can still do is
to open boxes of others, for which its long-term key suffices.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from ceus_models.plan.answers.secure_layout import find_words
from ceus_models.protocol.message_ids import ReceivedTask
from ceus_models.protocol.messages import Session, Task
from ceus_models.protocol.privacy import secure_session as shared
from ceus_models.protocol.privacy.fixed_point import to_words
from ceus_models.protocol.privacy.masks import KEY_BYTES, agree_on_key, derive_public_key
from ceus_models.protocol.privacy.secure_levels import LEAST_SITES
from ceus_models.protocol.privacy.secure_session import BOX_BYTES, TAG_BYTES
from ceus_models.protocol.privacy.shamir import SHARE_BYTES
from ceus_models.protocol.state import State
from client.policy.policy import TaskDeclined
from client.worker.privacy.boxes import Members, check_roster, read_boxes, read_input, read_roster
from client.worker.privacy.error_feedback import Quantiser
from client.worker.privacy.keys import ChannelKey, load_channel_key
from client.worker.privacy.masking import Payload, check_bounds, prepare_payload
from client.worker.privacy.openings import Opening, OpeningLog

KEPT_SESSIONS = 8
"""Secrets of older sessions are forgotten."""


@dataclass(frozen=True)
class SumRules:
    """What the hospital's policy demands of a secure sum. minimum_sites: in every total · roster: "any" or a digest."""

    minimum_sites: int = LEAST_SITES
    roster: str = "any"


@dataclass
class _Prepared:
    """A session's secrets, what they were used for (binding, question and payload of the one masked answer), and the
    terms under which that answer may be opened.
    """

    members: Members
    mask_private: bytes = field(repr=False)
    seed: bytes = field(repr=False)
    boxes: bytes = field(repr=False)
    used: tuple[str, str, str] | None = None
    terms: tuple[str, int] | None = None


@dataclass(eq=False)
class SumSessions:
    """All secure sums of a site. site: its name · folder: of its key · log: of what it helped to open."""

    site: str
    folder: Path
    log: OpeningLog
    _prepared: dict[str, _Prepared] = field(default_factory=dict, repr=False)
    _answered: tuple[tuple[str, str], State] | None = field(default=None, repr=False)

    @cached_property
    def key(self) -> ChannelKey:
        """The site's long-term channel key."""
        return load_channel_key(self.folder)

    def offer(self, task: Task, rules: SumRules) -> State:
        """Boxes for every site of the session, and the public mask key. Raises TaskDeclined for what cannot be safe."""
        members = self._read_members(task, rules)
        if members.id not in self._prepared:
            mask_private, seed = os.urandom(KEY_BYTES), os.urandom(KEY_BYTES)
            while len(self._prepared) >= KEPT_SESSIONS:
                del self._prepared[next(iter(self._prepared))]
            boxes = members.seal_boxes(mask_private, seed)
            self._prepared[members.id] = _Prepared(members, mask_private, seed, boxes)
        prepared = self._prepared[members.id]
        return {
            shared.BOXES: shared.make_bytes_tensor(prepared.boxes, len(members.keys), BOX_BYTES),
            shared.MASK_KEY: shared.make_bytes_tensor(derive_public_key(prepared.mask_private), KEY_BYTES),
        }

    def check(self, received: ReceivedTask) -> None:
        """Raise TaskDeclined before any work for a task whose answer could not be masked."""
        self._bind(self._find_prepared(received.task), received)
        check_bounds(received.task)

    def recall(self, received: ReceivedTask, index: str = "") -> State | None:
        """The sums of the last question, where this is the same one, perhaps in a new session; else they are dropped.

        Args:
            index: digest of the index that they would be made from.
        """
        if self._answered and self._answered[0] != (received.question, index):
            self._answered = None
        return self._answered[1] if self._answered else None

    def keep(self, received: ReceivedTask, sums: State, index: str = "") -> None:
        """Keep the sums of a question for another session of it."""
        self._answered = ((received.question, index), sums)

    def mask(self, received: ReceivedTask, sums: State, quantiser: Quantiser | None = None) -> tuple[State, Payload]:
        """The masked sums, and what they hide. The same task again gets the same bytes.

        Args:
            quantiser: rounds the clipped changes of a task that asks for few bits.

        Raises:
            TaskDeclined: the session has masked something else, or the numbers cannot be added.
        """
        prepared = self._find_prepared(received.task)
        members = prepared.members
        binding, question, mask_keys = self._bind(prepared, received)
        payload = prepare_payload(received.task, sums, quantiser)
        used = (binding, question, hashlib.sha256(payload.vector.data).hexdigest())
        if prepared.used not in (None, used):
            raise _decline_second_answer()
        prepared.used, prepared.terms = used, shared.read_terms(received.task)
        vector = payload.vector.copy()
        shared.add_self_mask(vector, prepared.seed, binding)
        for place, mask_key in mask_keys.items():
            secret = agree_on_key(prepared.mask_private, mask_key)
            shared.add_pair_mask(vector, secret, binding, (members.place, place))
        words = find_words(received.task, len(members.keys))
        sent = {shared.MASKED: torch.from_numpy(vector[: words.wide].view(np.int64))}
        if words.narrow:
            sent[shared.NARROW] = to_words(vector[words.wide :], words.word_bytes)
        return sent, payload

    def unmask(self, task: Task, rules: SumRules) -> State:
        """Confirm a view to the other sites, or, once enough of them confirmed it, give the shares that open it.

        Raises:
            TaskDeclined: the view is not this site's, or may not be opened.
        """
        members = self._read_members(task, rules)
        sites, session = len(members.keys), members.session
        boxes, subject = read_boxes(task, session), read_input(task, shared.SUBJECT, KEY_BYTES).hex()
        terms = shared.read_terms(task)
        _check_survivors(task, max(terms[1], rules.minimum_sites), session, shared.list_present(session, boxes))
        binding = shared.compute_binding(members.id, boxes, subject)
        prepared = self._prepared.get(members.id)
        if prepared and (prepared.used is None or (prepared.used[0], prepared.terms) != (binding, terms)):
            raise TaskDeclined("session", "this site has masked no answer, or another one, in this view of the session")
        opening = Opening(members.id, subject, task.survivors)
        known = self.log.check(opening, rules.minimum_sites, task.level == "distributed")
        view = shared.compute_view(binding, task.survivors, terms)
        if shared.TAGS not in task.inputs:
            return {shared.TAGS: shared.make_bytes_tensor(members.make_tags(view), sites, TAG_BYTES)}
        tags = read_input(task, shared.TAGS, sites, sites, TAG_BYTES)
        confirmed = members.count_confirmed(view, tags, task.survivors)
        if confirmed < session.threshold:
            raise TaskDeclined(
                "session",
                f"{session.threshold} sites must confirm the same task and the same sites before a sum is opened, "
                f"{confirmed} did",
            )
        shares = members.collect_shares(boxes, task.survivors)
        if not known:
            self.log.record(opening)
        return {shared.SHARES: shared.make_bytes_tensor(shares, sites, SHARE_BYTES)}

    def _read_members(self, task: Task, rules: SumRules) -> Members:
        session = task.session
        if session is None:
            raise TaskDeclined("session", "a task of a secure sum must bring its session, and this one brings none")
        sites = session.sites
        if list(sites) != sorted(set(sites)) or self.site not in sites:
            raise TaskDeclined("session", "the session must list its sites once each, in order, and this site too")
        if len(sites) < rules.minimum_sites or session.threshold != shared.compute_threshold(len(sites)):
            raise TaskDeclined(
                "session",
                f"the session must have {rules.minimum_sites} sites at least and a threshold of two thirds of them, "
                f"found {len(sites)} sites and a threshold of {session.threshold}",
            )
        members = Members(session, read_roster(task, session), sites.index(self.site), self.key.private)
        if len(set(members.keys)) < len(sites) or members.keys[members.place] != self.key.public:
            raise TaskDeclined("session", "the roster must hold another key for each site, and this site's own")
        check_roster(task, session, members.keys, rules.roster)
        known = self._prepared.get(members.id)
        return known.members if known else members

    def _find_prepared(self, task: Task) -> _Prepared:
        for prepared in self._prepared.values():
            if prepared.members.session == task.session:
                return prepared
        raise TaskDeclined("session", "this site does not know the session, or was restarted; begin a new session")

    def _bind(self, prepared: _Prepared, received: ReceivedTask) -> tuple[str, str, dict[int, bytes]]:
        """The binding and the question of a task, and the others' mask keys.

        Raises TaskDeclined where boxes are wrong, or the masks were used for another question.
        """
        members = prepared.members
        boxes = read_boxes(received.task, members.session)
        if not members.has_own_boxes(boxes, prepared.boxes):
            raise TaskDeclined("session", "the list of boxes must hold this site's own as it sent them")
        present, least = shared.list_present(members.session, boxes), members.session.threshold
        if len(present) < least:
            raise TaskDeclined("session", f"boxes of {least} sites at least are needed, found {len(present)}")
        binding = shared.compute_binding(members.id, boxes, shared.compute_subject(received.task))
        question = received.question
        if prepared.used is not None and prepared.used[:2] != (binding, question):
            raise _decline_second_answer()
        return binding, question, members.read_mask_keys(boxes)


def _check_survivors(task: Task, most: int, session: Session, present: tuple[str, ...]) -> None:
    """Raise TaskDeclined for too few sites, or others than offered. most: the larger of policy and noise."""
    least = max(session.threshold, most)
    if list(task.survivors) != sorted(set(task.survivors)) or not set(task.survivors) <= set(present):
        raise TaskDeclined("session", "survivors must be sites that offered boxes, once each and in order")
    if len(task.survivors) < least:
        raise TaskDeclined("session", f"a sum of {least} sites at least is opened, found {len(task.survivors)}")


def _decline_second_answer() -> TaskDeclined:
    return TaskDeclined("session", "this session has masked another answer; begin a new session")
