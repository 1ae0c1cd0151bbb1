"""Signing in by OpenID Connect: authorization code with PKCE, state and nonce; the ID token is checked in full.

Nothing of the provider's is kept: no access token, no refresh token. Who is still a member is asked anew
(`server.console.sign_in.sessions.RECHECK_S`), by way of the browser.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from ceus_models.runtime.errors import ExpectedError
from server.console.sign_in.console_file import (
    ConsoleSettings,
    OpenIdSettings,
    check_url,
    find_ca_file,
    read_client_secret,
)
from server.console.sign_in.sessions import Visitor
from server.run_folder.paths import Home

RETURN = "/sign-in/openid/return"
_TIMEOUT_S, _FRESH_S, _PENDING_S, _LEEWAY_S = 10.0, 3600.0, 600.0, 60
_MOST_PENDING = 1000
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_LONGEST_NAME = 63


class OpenIdError(ExpectedError):
    """A sign-in that was refused; the text says why and what to do."""


@dataclass(frozen=True)
class _Pending:
    """A sign-in that was begun. browser: the cookie of the one that began it · to: the page to be shown at the end."""

    browser: str
    nonce: str
    verifier: str
    to: str
    begun: float


@dataclass(frozen=True)
class _Provider:
    """What the provider says of itself, and its keys."""

    metadata: Mapping[str, Any]
    keys: KeySet
    read: float


@dataclass
class OpenIdClient:
    """The console as a client of the provider."""

    home: Home
    settings: ConsoleSettings
    openid: OpenIdSettings
    clock: Callable[[], float] = time.monotonic
    _pending: dict[str, _Pending] = field(default_factory=dict, init=False, repr=False)
    _provider: _Provider | None = field(default=None, init=False, repr=False)

    def begin(self, to: str) -> tuple[str, str]:
        """The address to send a browser to, and the cookie that binds the sign-in to it. Raises OpenIdError."""
        provider = self._read_provider()
        nonce, verifier, browser = (secrets.token_urlsafe(48) for _ in range(3))
        with self._open_session(provider) as session:
            url, state = session.create_authorization_url(
                provider.metadata["authorization_endpoint"], code_verifier=verifier, nonce=nonce
            )
        now = self.clock()
        self._pending = {key: one for key, one in self._pending.items() if now - one.begun < _PENDING_S}
        while len(self._pending) >= _MOST_PENDING:
            del self._pending[next(iter(self._pending))]
        self._pending[state] = _Pending(browser, nonce, verifier, to, now)
        return str(url), browser

    def finish(self, query: Mapping[str, str], browser: str) -> tuple[Visitor, str]:
        """Who came back from the provider, and the page to show. A sign-in ends once. Raises OpenIdError."""
        pending = self._pending.pop(query.get("state", ""), None)
        if pending is None or self.clock() - pending.begun > _PENDING_S:
            raise OpenIdError("this sign-in was ended already, or is older than 10 minutes; sign in again")
        if not browser or not secrets.compare_digest(pending.browser.encode(), browser.encode()):
            raise OpenIdError("this sign-in was begun in another browser; sign in again")
        if query.get("iss", self.openid.issuer) != self.openid.issuer:
            raise OpenIdError("the answer is of another provider than that of console.yaml; sign in again")
        if "code" not in query:
            raise OpenIdError(f"the provider let nobody in ({_shorten(query.get('error', 'no code'))}); sign in again")
        return self._identify(query["code"], pending), pending.to

    def _identify(self, code: str, pending: _Pending) -> Visitor:
        provider = self._read_provider()
        with self._open_session(provider) as session:
            token = self._fetch_token(session, provider, code, pending.verifier)
            claims = self._check_id_token(token, pending.nonce)
            if self.openid.groups_claim not in claims and "userinfo_endpoint" in provider.metadata:
                claims = {**self._fetch_user_info(session, provider, str(claims["sub"])), **claims}
        return self._make_visitor(claims)

    def _make_visitor(self, claims: Mapping[str, Any]) -> Visitor:
        name = _shorten(str(claims.get(self.openid.name_claim) or claims["sub"]))
        found = claims.get(self.openid.groups_claim)
        listed = [found] if isinstance(found, str) else found if isinstance(found, list) else []
        groups = {one for one in listed if isinstance(one, str)}
        for role, wanted in self.openid.roles.items():
            if groups.intersection(wanted):
                return Visitor(name, role, "openid", str(claims["sub"]))
        raise OpenIdError(
            f"the provider knows {name}, but none of its groups for {name} has a role in this console; ask the "
            "coordinator to be added to one"
        )

    def _fetch_token(self, session: OAuth2Session, provider: _Provider, code: str, verifier: str) -> Mapping[str, Any]:
        try:
            token: Mapping[str, Any] = session.fetch_token(
                provider.metadata["token_endpoint"], grant_type="authorization_code", code=code, code_verifier=verifier
            )
        except OAuthError as error:
            raise OpenIdError(f"the provider refused the code ({_shorten(str(error.error))}); sign in again") from None
        except (requests.RequestException, ValueError):
            raise self._silent() from None
        if not isinstance(token.get("id_token"), str):
            raise OpenIdError("the provider sent no ID token: register the console there for OpenID Connect")
        return token

    def _check_id_token(self, token: Mapping[str, Any], nonce: str) -> Mapping[str, Any]:
        """The claims of an ID token by the provider, for this client and this sign-in, that holds now."""
        decoded = self._decode(token["id_token"])
        options = {
            "iss": {"essential": True, "value": self.openid.issuer},
            "aud": {"essential": True, "value": self.openid.client_id},
        }
        stated = {"client_id": self.openid.client_id, "nonce": nonce, "access_token": token.get("access_token")}
        claims = CodeIDToken(decoded.claims, decoded.header, options, stated)
        try:
            claims.validate(leeway=_LEEWAY_S)
        except JoseError as error:
            raise OpenIdError(
                f"the provider's ID token does not hold here ({_shorten(str(error))}); sign in again, and if it "
                "comes again compare console.yaml and the clocks of both"
            ) from None
        return claims

    def _decode(self, token: str) -> jwt.Token:
        try:
            try:
                return jwt.decode(token, self._read_provider().keys, algorithms=_ALGORITHMS)
            except InvalidKeyIdError:  # the provider may have changed its keys
                self._provider = None
                return jwt.decode(token, self._read_provider().keys, algorithms=_ALGORITHMS)
        except (JoseError, ValueError):
            raise OpenIdError("the ID token is not signed by the provider's keys; sign in again") from None

    def _fetch_user_info(self, session: OAuth2Session, provider: _Provider, subject: str) -> dict[str, Any]:
        found: dict[str, Any] = self._fetch_document(
            session, provider.metadata["userinfo_endpoint"], withhold_token=False
        )
        if found.get("sub") != subject:
            raise OpenIdError("the provider's user info is of another person than its ID token; sign in again")
        return found

    def _read_provider(self) -> _Provider:
        """By its discovery document, of at most an hour ago."""
        found = self._provider
        if found is None or self.clock() - found.read > _FRESH_S:
            found = self._provider = self._discover()
        return found

    def _discover(self) -> _Provider:
        issuer = self.openid.issuer
        with self._open_session() as session:
            found = self._fetch_document(session, issuer.rstrip("/") + "/.well-known/openid-configuration")
            if found.get("issuer") != issuer:
                raise OpenIdError(
                    f"issuer in console.yaml is {issuer}, the provider there calls itself "
                    f"{_shorten(str(found.get('issuer')))}; write that"
                )
            try:
                for name in _ENDPOINTS:
                    check_url(str(found.get(name)), name, query=True)
                return _Provider(
                    found, KeySet.import_key_set(self._fetch_document(session, found["jwks_uri"])), self.clock()
                )
            except (JoseError, ValueError, KeyError, TypeError):
                raise OpenIdError(f"the provider's discovery document or keys are faulty: {issuer}") from None

    def _fetch_document(self, session: OAuth2Session, url: str, withhold_token: bool = True) -> Any:
        try:
            answer = session.request("GET", url, withhold_token=withhold_token, allow_redirects=False)
            answer.raise_for_status()
            found = answer.json()
        except (requests.RequestException, ValueError):
            raise self._silent() from None
        if not isinstance(found, dict):
            raise self._silent()
        return found

    def _open_session(self, provider: _Provider | None = None) -> OAuth2Session:
        secret = read_client_secret(self.home, self.openid)
        methods = provider.metadata.get("token_endpoint_auth_methods_supported", ()) if provider else ()
        post = "client_secret_basic" not in methods and "client_secret_post" in methods
        session = OAuth2Session(
            self.openid.client_id,
            secret,
            token_endpoint_auth_method="client_secret_post" if secret and post else None,
            scope=" ".join(dict.fromkeys(("openid", *self.openid.scopes))),
            redirect_uri=f"{self.settings.url}{RETURN}",
            code_challenge_method="S256",
            default_timeout=_TIMEOUT_S,
        )
        if trusted := find_ca_file(self.home, self.openid):
            session.verify = str(trusted)
        return session

    def _silent(self) -> OpenIdError:
        return OpenIdError(
            f"the provider {self.openid.issuer} does not answer as one; try again, or sign in with name and token"
        )


def _shorten(text: str) -> str:
    """What comes from elsewhere, for a page or a log: one line, and not long."""
    return "".join(sign for sign in text if sign.isprintable())[:_LONGEST_NAME]
