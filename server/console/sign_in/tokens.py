"""Names and tokens are checked a few at a time, and wrong ones wait; machines send theirs by HTTP Basic."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from starlette.requests import Request

from ceus_models.runtime.supervisor import EventLog
from server.console.sign_in.users import Person, authenticate, read_people
from server.run_folder.paths import Home

_FIRST_S, _LONGEST_S, _FORGET_S = 0.5, 8.0, 600.0
_TOGETHER = 2  # tokens that are hashed at once: 16 MB each
_MOST_WAITING = 16  # so that wrong tokens never hold all connections
_LONGEST = 256
_MOST_NAMES = 4096  # whose wrong tries are counted; the oldest is forgotten


@dataclass
class TokenCheck:
    """pause: waits so many seconds before a wrong token is refused, more each time."""

    home: Home
    told: EventLog
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    _key: bytes = field(default_factory=lambda: secrets.token_bytes(32), init=False)
    _failed: dict[bytes, tuple[int, float]] = field(default_factory=dict, init=False)
    _waiting: int = field(default=0, init=False)
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_TOGETHER), init=False)

    async def find(self, name: str, token: str) -> Person | None:
        """The person whose name and token these are. Raises ExpectedError where the people cannot be read."""
        if len(name) + len(token) > _LONGEST:
            return None
        async with self._turns:
            person = await asyncio.to_thread(authenticate, self.home, name, token)
        if person is None:
            await self._refuse(name)
        return person

    def clear(self, name: str) -> None:
        """Forget the wrong tries of one who has signed in."""
        self._failed.pop(self._digest(name), None)

    async def _refuse(self, name: str) -> None:
        """Each name waits for its own tries, whether somebody has it or not, so that no time tells which there are.

        A name that nobody has is not written down: it may be a token in the wrong field.
        """
        named = name if any(one.name == name for one in read_people(self.home)) else ""
        count, last = self._failed.pop(self._digest(name), (0, 0.0))
        count = 1 if self.clock() - last > _FORGET_S else count + 1
        self._failed[self._digest(name)] = count, self.clock()
        if len(self._failed) > _MOST_NAMES:
            del self._failed[next(iter(self._failed))]
        self.told({"event": "refused", "who": named or "a name that nobody has", "failures": count})
        if self._waiting >= _MOST_WAITING:
            return
        self._waiting += 1
        try:
            await self.pause(min(_FIRST_S * 2.0 ** min(count - 1, 10), _LONGEST_S))
        finally:
            self._waiting -= 1

    def _digest(self, name: str) -> bytes:
        """What a name is counted by, in this process alone."""
        return hashlib.blake2b(name.encode(errors="replace"), key=self._key, digest_size=16).digest()


def parse_basic(request: Request) -> tuple[str, str] | None:
    """Name and token of a request by HTTP Basic; None where nothing was given that could be both."""
    scheme, _, code = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic" or len(code) > 2 * _LONGEST:
        return None
    try:
        name, colon, token = base64.b64decode(code, validate=True).decode().partition(":")
    except ValueError:
        return None
    return (name, token) if colon else None
