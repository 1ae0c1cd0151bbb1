"""Users of the coordinator's console and their roles. Stored are salted hashes (scrypt); a token is shown once.

A token has 192 random bits, so the cost of the hash can be low.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from ceus_models.pki.enrolment import Hex, Name
from ceus_models.runtime.atomic_files import write_atomically
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.file_locks import hold_lock
from server.console.sign_in.second_factor import remove_factor
from server.run_folder.paths import Home

Role = Literal["researcher", "coordinator", "monitor"]
_TOKEN_BYTES, _SALT_BYTES = 24, 32
_COST = {"n": 1 << 14, "r": 8, "p": 1, "dklen": 32}  # 16 MB, some 50 ms
_OTHERS = 0o077


class Person(BaseModel):
    """One who may sign in. salt, hash: of the token, by scrypt."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[Name, Field(max_length=63)]
    role: Role
    salt: Hex
    hash: Hex
    added: AwareDatetime

    def __str__(self) -> str:
        """For the log of reads."""
        return self.name

    def has_token(self, token: str) -> bool:
        """Whether the token is this person's, in the same time whatever it is."""
        return hmac.compare_digest(_hash_token(token, self.salt), self.hash)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    people: tuple[Person, ...] = ()


_NOBODY = "0" * 64
"""Salt of a name that nobody has: to refuse it takes as long as to refuse a wrong token."""


def read_people(home: Home) -> tuple[Person, ...]:
    """Read all users. Raises ExpectedError for a file that is damaged, or readable by others."""
    try:
        if home.people.stat().st_mode & _OTHERS:
            raise ExpectedError(f"others may read {home.people}: run `chmod 600` on it, and give everybody a new token")
        return _File.model_validate_json(home.people.read_bytes()).people
    except FileNotFoundError:
        return ()
    except (OSError, ValidationError):
        raise ExpectedError(f"{home.people} cannot be read; restore it, or delete it and add everybody again") from None


def authenticate(home: Home, name: str, token: str) -> Person | None:
    """Find the person with this name and token; None if they do not match. Raises as `read_people`."""
    person = next((one for one in read_people(home) if one.name == name), None)
    if person is None:
        _hash_token(token, _NOBODY)
        return None
    return person if person.has_token(token) else None


def add_person(home: Home, name: str, role: Role, now: datetime) -> str:
    """The token of somebody new. Raises ExpectedError for a name that is none, or is there."""
    token, salt = secrets.token_urlsafe(_TOKEN_BYTES), secrets.token_hex(_SALT_BYTES)
    try:
        person = Person(name=name, role=role, salt=salt, hash=_hash_token(token, salt), added=now)
    except ValidationError:
        raise ExpectedError(
            f"a name must have letters, digits and hyphens, at most 63, not {name[:63]!r}; choose another"
        ) from None
    with _change_people(home) as before:
        if any(one.name == name for one in before):
            raise ExpectedError(f"{name} is there already; for a new token or role, remove {name} first")
        _write(home, (*before, person))
    return token


def remove_person(home: Home, name: str) -> None:
    """Lets somebody in no longer, from the next request on; his second factor goes too. Raises ExpectedError."""
    with _change_people(home) as before:
        after = tuple(one for one in before if one.name != name)
        if len(after) == len(before):
            raise ExpectedError(f"there is no {name[:63]}; there are {', '.join(one.name for one in before) or 'none'}")
        _write(home, after)
        remove_factor(home, name)


@contextmanager
def _change_people(home: Home) -> Iterator[tuple[Person, ...]]:
    home.people.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    busy = ExpectedError("another command is changing the people; try again")
    with hold_lock(home.people.with_name(".people.lock"), busy):
        yield read_people(home)


def _write(home: Home, found: tuple[Person, ...]) -> None:
    write_atomically(home.people, _File(people=found).model_dump_json(indent=2).encode() + b"\n")


def _hash_token(token: str, salt: str) -> str:
    return hashlib.scrypt(token.encode(), salt=bytes.fromhex(salt), **_COST).hex()
