"""Sessions of people: a random cookie in the browser, and in this process's memory who has it and until when."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from starlette.requests import Request

from server.console.sign_in.users import Role

LONGEST_S, IDLE_S, RECHECK_S = 8 * 3600.0, 3600.0, 900.0
"""A session ends after so long; when unused for so long; and its OpenID provider is asked again after so long."""
_MOST = 1000
_BYTES = 32


@dataclass(frozen=True)
class Visitor:
    """Who signed in. by: token or openid · key: the hash of his token, or his subject at the provider."""

    name: str
    role: Role
    by: Literal["token", "openid"]
    key: str = field(default="", repr=False)

    def __str__(self) -> str:
        """For the logs."""
        return self.name


@dataclass(frozen=True)
class Session:
    """form: a word that every form of this session bears · begun, used, checked: seconds of the table's clock."""

    visitor: Visitor
    form: str = field(repr=False)
    begun: float
    used: float
    checked: float


@dataclass
class Sessions:
    """All sessions of a console, by the hash of their cookies; they end with its process."""

    clock: Callable[[], float] = time.monotonic
    _table: dict[str, Session] = field(default_factory=dict, init=False, repr=False)

    def open(self, visitor: Visitor, before: Session | None = None) -> str:
        """The cookie of a new session. before: one of the same person, whose end it keeps."""
        now = self.clock()
        self._table = {key: one for key, one in self._table.items() if not self._is_over(one)}
        while len(self._table) >= _MOST:
            del self._table[next(iter(self._table))]
        cookie = secrets.token_urlsafe(_BYTES)
        begun, used = (before.begun, before.used) if before else (now, now)
        self._table[_hash(cookie)] = Session(visitor, secrets.token_urlsafe(_BYTES), begun, used, now)
        return cookie

    def find(self, cookie: str, is_use: bool) -> Session | None:
        """The session of a cookie; None if it ended. is_use: whether a person asks, not a page that loads itself."""
        key = _hash(cookie)
        found = self._table.get(key)
        if found is None or self._is_over(found):
            self._table.pop(key, None)
            return None
        if is_use:
            found = self._table[key] = replace(found, used=self.clock())
        return found

    def end(self, cookie: str) -> None:
        """End a session."""
        self._table.pop(_hash(cookie), None)

    def is_due(self, session: Session) -> bool:
        """Whether the provider must say again who this is."""
        return session.visitor.by == "openid" and self.clock() - session.checked > RECHECK_S

    def _is_over(self, session: Session) -> bool:
        now = self.clock()
        return now - session.begun > LONGEST_S or now - session.used > IDLE_S


def get_visitor(request: Request) -> Visitor:
    """Who asks."""
    visitor: Visitor = request.scope["who"]
    return visitor


def get_form_word(request: Request) -> str:
    """The word for the forms of a page; "" for a machine, which has no session."""
    session: Session | None = request.scope.get("console_session")
    return session.form if session else ""


def _hash(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()
