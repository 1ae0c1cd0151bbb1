"""Signing in to the coordinator's console by HTTP Basic: name and token, with every request."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from ceus_models.runtime.supervisor import EventLog
from server.console.users import Person, authenticate, read_people
from server.run_folder.paths import Home

_FIRST_S, _LONGEST_S, _FORGET_S = 0.5, 8.0, 600.0
_TOGETHER = 2  # tokens that are hashed at once: 16 MB each
_MOST_WAITING = 16  # so that wrong tokens never hold all connections
_LONGEST = 256


@dataclass
class BasicAuth:
    """A `ceus_models.web.guard.Gate`. pause: waits so many seconds before a wrong token is refused, more each time."""

    home: Home
    told: EventLog
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    _failed: dict[str, tuple[int, float]] = field(default_factory=dict, init=False)
    _waiting: int = field(default=0, init=False)
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_TOGETHER), init=False)

    async def __call__(self, request: Request) -> Response | None:
        """Lets in whose name and token these are. Raises ExpectedError where the people cannot be read."""
        given = _parse_basic(request.headers.get("authorization", ""))
        if given is None:
            return _challenge()
        async with self._turns:
            person = await asyncio.to_thread(authenticate, self.home, *given)
        if person is None:
            await self._refuse(given[0])
            return _challenge()
        self._failed.pop(person.name, None)
        request.scope["who"] = person
        return None

    async def _refuse(self, name: str) -> None:
        """A name that nobody has is not written down: it may be a token in the wrong field."""
        named = name if any(one.name == name for one in read_people(self.home)) else ""
        count, last = self._failed.get(named, (0, 0.0))
        count = 1 if self.clock() - last > _FORGET_S else count + 1
        self._failed[named] = count, self.clock()
        self.told({"event": "refused", "who": named or "a name that nobody has", "failures": count})
        if self._waiting >= _MOST_WAITING:
            return
        self._waiting += 1
        try:
            await self.pause(min(_FIRST_S * 2.0 ** min(count - 1, 10), _LONGEST_S))
        finally:
            self._waiting -= 1


def get_person(request: Request) -> Person:
    """Who signed in."""
    person: Person = request.scope["who"]
    return person


def _challenge() -> Response:
    ask = {"www-authenticate": 'Basic realm="fedceus console", charset="UTF-8"'}
    return PlainTextResponse("sign in with the name and the token that `ceus-coordinator people` gave", 401, ask)


def _parse_basic(header: str) -> tuple[str, str] | None:
    """Name and token; None where nothing was given that could be both."""
    scheme, _, code = header.partition(" ")
    if scheme.lower() != "basic" or len(code) > 2 * _LONGEST:
        return None
    try:
        name, colon, token = base64.b64decode(code, validate=True).decode().partition(":")
    except ValueError:
        return None
    return (name, token) if colon else None
