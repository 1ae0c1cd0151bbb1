"""What a site seals for each other site of a session, opens of theirs, and confirms to them."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial

from ceus_models.protocol.messages import Session, Task
from ceus_models.protocol.privacy import secure_session as shared
from ceus_models.protocol.privacy.masks import KEY_BYTES, agree_on_key, derive_public_key, open_box, seal_box
from ceus_models.protocol.privacy.roster import parse_roster
from ceus_models.protocol.privacy.secure_session import BOX_BYTES, TAG_BYTES, BoxContent
from ceus_models.protocol.privacy.shamir import SHARE_BYTES, split_secret
from client.policy.policy import TaskDeclined


@dataclass(frozen=True)
class Members:
    """The sites of a session as one of them sees them.

    Args:
        keys: their public channel keys.
        place: of this site among them.
        private: this site's channel key.
    """

    session: Session
    keys: tuple[bytes, ...]
    place: int
    private: bytes = field(repr=False)

    @cached_property
    def id(self) -> str:
        """See `compute_session_id`."""
        return shared.compute_session_id(self.session, b"".join(self.keys))

    def seal_boxes(self, mask_private: bytes, seed: bytes) -> bytes:
        """A box for every site, this one too: the public mask key, and shares of both secrets."""
        sites, threshold = len(self.keys), self.session.threshold
        public = derive_public_key(mask_private)
        shares = zip(split_secret(mask_private, threshold, sites), split_secret(seed, threshold, sites), strict=True)
        return b"".join(
            seal_box(self._derive_key(self.place, place), b"".join((public, *both)), self.id.encode())
            for place, both in enumerate(shares)
        )

    def has_own_boxes(self, boxes: bytes, own: bytes) -> bool:
        """Whether the row of this site in the list of all boxes is what it sealed."""
        return boxes[self.place * len(own) : (self.place + 1) * len(own)] == own

    def read_mask_keys(self, boxes: bytes) -> dict[int, bytes]:
        """Place → public mask key of every other site that is present. Raises TaskDeclined for a changed box."""
        places = [self.session.sites.index(site) for site in shared.list_present(self.session, boxes)]
        return {place: self._open(boxes, place).mask_key for place in places if place != self.place}

    def collect_shares(self, boxes: bytes, survivors: tuple[str, ...]) -> bytes:
        """One share of each site that is present: of its seed where it is in the sum, else of its mask key."""
        present, shares = shared.list_present(self.session, boxes), b""
        for place, site in enumerate(self.session.sites):
            content = self._open(boxes, place) if site in present else None
            if content is None:
                shares += bytes(SHARE_BYTES)
            else:
                shares += content.seed_share if site in survivors else content.mask_share
        return shares

    def make_tags(self, view: str) -> bytes:
        """The confirmation of a view to every site."""
        return b"".join(self._derive_tag(view, self.place, place) for place in range(len(self.keys)))

    def count_confirmed(self, view: str, tags: bytes, survivors: tuple[str, ...]) -> int:
        """Survivors that confirmed this very view to this site. tags: of all sites to all sites."""
        found, sites = shared.split_bytes(tags, TAG_BYTES), len(self.keys)
        places = [self.session.sites.index(site) for site in survivors]
        return sum(
            hmac.compare_digest(found[place * sites + self.place], self._derive_tag(view, place, self.place))
            for place in places
        )

    def _open(self, boxes: bytes, sender: int) -> BoxContent:
        begin = (sender * len(self.keys) + self.place) * BOX_BYTES
        key = self._derive_key(sender, self.place)
        return BoxContent.parse(declining(lambda: open_box(key, boxes[begin : begin + BOX_BYTES], self.id.encode())))

    def _derive_key(self, sender: int, receiver: int) -> bytes:
        return shared.derive_box_key(self._agreed[self._find_peer(sender, receiver)], self.id, (sender, receiver))

    def _derive_tag(self, view: str, sender: int, receiver: int) -> bytes:
        return shared.derive_tag(self._agreed[self._find_peer(sender, receiver)], view, (sender, receiver))

    def _find_peer(self, sender: int, receiver: int) -> int:
        return receiver if sender == self.place else sender

    @cached_property
    def _agreed(self) -> tuple[bytes, ...]:
        """The secret that this site shares with each site; with itself, one that nobody else knows."""
        return tuple(declining(partial(agree_on_key, self.private, key)) for key in self.keys)


def read_input(task: Task, name: str, *shape: int) -> bytes:
    """The bytes of an input of a session. Raises TaskDeclined where it is absent or of another shape."""
    return declining(lambda: shared.read_bytes(task.inputs, name, *shape))


def read_boxes(task: Task, session: Session) -> bytes:
    """The boxes of all sites for all sites. Raises TaskDeclined as `read_input`."""
    return read_input(task, shared.BOXES, len(session.sites), len(session.sites), BOX_BYTES)


def read_roster(task: Task, session: Session) -> tuple[bytes, ...]:
    """The channel keys of the session's sites. Raises TaskDeclined as `read_input`."""
    return tuple(shared.split_bytes(read_input(task, shared.ROSTER, len(session.sites), KEY_BYTES), KEY_BYTES))


def check_roster(task: Task, session: Session, keys: tuple[bytes, ...], wanted: str) -> None:
    """Compare the keys of a session with the roster that the hospital's people approved.

    Args:
        wanted: the roster's digest, or "any".

    Raises:
        TaskDeclined: the task brings no roster, another one, or a site that is not in it.
    """
    if wanted == "any":
        return
    try:
        roster = parse_roster(task.roster)
    except ValueError:
        raise TaskDeclined("session", "expected the approved roster in this task, found none; send it") from None
    if roster.digest() != wanted:
        raise TaskDeclined(
            "session", f"expected the approved roster {wanted[:16]}, found {roster.digest()[:16]}; approve it first"
        )
    for site, key in zip(session.sites, keys, strict=True):
        if roster.sites.get(site) != key.hex():
            raise TaskDeclined("session", f"expected the roster's key of {site[:60]}, found another or none")


def declining(work: Callable[[], bytes]) -> bytes:
    """What the work gives. Raises TaskDeclined where a key, a box or a tensor is not what it must be."""
    try:
        return work()
    except ValueError as error:
        raise TaskDeclined("session", f"the session's keys or boxes are wrong: {error}") from None
