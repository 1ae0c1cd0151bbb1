"""Stands at the console's door: a session for people, HTTP Basic for machines, and the pages that sign somebody in."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from ceus_models.runtime.supervisor import EventLog
from ceus_models.web.responses import STYLE
from server.console.sign_in.console_file import ConsoleSettings, load_console_settings
from server.console.sign_in.openid import RETURN, OpenIdClient
from server.console.sign_in.sessions import LONGEST_S, Session, Sessions, Visitor
from server.console.sign_in.tokens import TokenCheck, parse_basic
from server.console.sign_in.users import read_people
from server.run_folder.paths import Home

SIGN_IN, START = "/sign-in", "/sign-in/openid"
MACHINE_PAGES = ("/metrics", "/healthz", "/status.json")
"""What the role monitor sees, with its token in every request."""
_OPEN = (STYLE, SIGN_IN, START, RETURN)


@dataclass
class ConsoleGate:
    """A `ceus_models.web.guard.Gate`."""

    home: Home
    told: EventLog
    tokens: TokenCheck
    sessions: Sessions = field(default_factory=Sessions)
    settings: ConsoleSettings = field(default_factory=ConsoleSettings)
    openid: OpenIdClient | None = None

    async def __call__(self, request: Request) -> Response | None:
        """Lets in machines by their token, people by their session, and everybody to the pages for signing in."""
        found = self.find_session(request)
        if found and not self._is_current(found):
            self.sessions.end(self.read_cookie(request))
            found = None
        if found and not self.sessions.is_due(found):
            request.scope.update(who=found.visitor, console_session=found)
            return None
        if request.url.path in _OPEN:
            return None
        if "authorization" in request.headers:
            return await self._let_machine_in(request)
        if request.url.path in MACHINE_PAGES and not found:
            return challenge()
        return _send_to_sign_in(request, START if found else SIGN_IN)

    def find_session(self, request: Request) -> Session | None:
        """The session of the browser that asks, also one whose provider must be asked again."""
        # a page that loads itself anew is no use of the session: browsers say whether a person asked for it
        loads_itself = request.headers.get("sec-fetch-mode") == "navigate" and "sec-fetch-user" not in request.headers
        return self.sessions.find(self.read_cookie(request), not loads_itself)

    def read_cookie(self, request: Request) -> str:
        """The session's cookie, as the browser sent it."""
        return request.cookies.get(self._name(request, "session"), "")

    def read_sign_in_cookie(self, request: Request) -> str:
        """The cookie that binds a sign-in by OpenID Connect to its browser."""
        return request.cookies.get(self._name(request, "openid"), "")

    def set_sign_in_cookie(self, request: Request, response: Response, value: str) -> None:
        """Bind a sign-in to this browser for its ten minutes."""
        self._set_cookie(request, response, "openid", value, 600)

    def let_in(self, request: Request, response: Response, visitor: Visitor) -> Response:
        """Open a session; one of the same person that was due is replaced, and its end holds."""
        old = self.find_session(request)
        same = old if old and (old.visitor.by, old.visitor.key) == (visitor.by, visitor.key) else None
        self.sessions.end(self.read_cookie(request))
        self._set_cookie(request, response, "session", self.sessions.open(visitor, same), int(LONGEST_S))
        self.told({"event": "signed in", "who": str(visitor), "role": visitor.role, "by": visitor.by})
        return response

    def _set_cookie(self, request: Request, response: Response, kind: str, value: str, seconds: int) -> None:
        # not `strict`: the provider sends the browser back, and a strict cookie would not come along
        response.set_cookie(
            self._name(request, kind),
            value,
            max_age=seconds,
            httponly=True,
            samesite="lax",
            path="/",
            secure=self._is_secure(request),
        )

    def _name(self, request: Request, kind: str) -> str:
        """With the port, since browsers send a cookie to every port of a machine."""
        prefix = "__Host-" if self._is_secure(request) else ""
        return f"{prefix}ceus-{kind}-{request.scope['server'][1]}"

    def _is_secure(self, request: Request) -> bool:
        return self.settings.is_secure or request.url.scheme == "https"

    def _is_current(self, session: Session) -> bool:
        """Whether the person who signed in by a token still has it, and the same role."""
        visitor = session.visitor
        if visitor.by == "openid":
            return True
        now = ((one.name, one.role, one.hash) for one in read_people(self.home))
        return (visitor.name, visitor.role, visitor.key) in now

    async def _let_machine_in(self, request: Request) -> Response | None:
        given = parse_basic(request)
        person = await self.tokens.find(*given) if given else None
        if person is None:
            return challenge()
        if person.role != "monitor":  # a browser may remember the token of a person
            return challenge() if request.url.path in MACHINE_PAGES else _send_to_sign_in(request, SIGN_IN)
        self.tokens.clear(person.name)
        request.scope["who"] = Visitor(person.name, person.role, "token", person.hash)
        return None


def make_gate(home: Home, told: EventLog) -> ConsoleGate:
    """The gate as console.yaml wants it. Raises FaultList."""
    settings = load_console_settings(home)
    client = OpenIdClient(home, settings, settings.openid) if settings.openid else None
    return ConsoleGate(home, told, TokenCheck(home, told), settings=settings, openid=client)


def challenge() -> Response:
    """Asks a machine for its token."""
    ask = {"www-authenticate": 'Basic realm="fedceus console", charset="UTF-8"'}
    return PlainTextResponse("give the name and the token that `ceus-coordinator people` told for a monitor", 401, ask)


def _send_to_sign_in(request: Request, where: str) -> Response:
    """To the page `where`, and from there back to the page that was asked for."""
    if request.method not in ("GET", "HEAD"):
        return PlainTextResponse("you are not signed in any more: sign in, and do this again", 401)
    query = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(f"{where}?to={quote(request.url.path + query, safe='')}", 303)
