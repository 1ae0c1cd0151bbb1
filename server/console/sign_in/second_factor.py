"""The second factor of a token: codes of an authenticator (RFC 6238), each of which works once."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

import pyotp
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ceus_models.runtime.atomic_files import write_atomically
from ceus_models.runtime.errors import ExpectedError
from ceus_models.runtime.file_locks import hold_lock
from server.run_folder.paths import Home

_STEP_S = 30
_AROUND = 1  # steps before and after the present one whose code is taken, for clocks that differ
_TRIES, _LOCKED_S = 5, 900.0
_OTHERS = 0o077


class Factor(BaseModel):
    """One person's. secret: base32 · last: step of the last code that was taken · failures: wrong codes since then ·
    locked: until this time, in seconds since 1970.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    secret: Annotated[str, Field(pattern="^[A-Z2-7]{32,}$")]
    last: int
    failures: int = 0
    locked: float = 0.0


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: Literal[1] = 1
    factors: dict[str, Factor] = {}


def make_secret() -> str:
    """A new secret of 160 bits, in base32."""
    return pyotp.random_base32()


def format_uri(secret: str, name: str, federation: str) -> str:
    """The otpauth URI that authenticators read as a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=f"fedceus {federation}")


def has_factor(home: Home, name: str) -> bool:
    """Whether the person must give a code. Raises ExpectedError where the file cannot be read."""
    return name in _read(home).factors


def set_factor(home: Home, name: str, secret: str, code: str, now: float) -> None:
    """Keep a new secret, in place of an older one, if the code is of it. Raises ExpectedError if not."""
    step = _find_step(secret, code, now)
    if step is None:
        raise ExpectedError(
            "the code must be the one that the authenticator shows now, but is another: nothing was changed; set the "
            "clocks of both (`timedatectl set-ntp true`), and run the command again"
        )
    with _change(home) as file:
        file.factors[name] = Factor(secret=secret, last=step)


def remove_factor(home: Home, name: str) -> bool:
    """Forget a person's secret; whether there was one."""
    if not home.second_factors.exists():
        return False
    with _change(home) as file:
        return file.factors.pop(name, None) is not None


def check_code(home: Home, name: str, code: str, now: float) -> str:
    """Take a code, which does not work again. Returns why it was not taken, "" if it was."""
    with _change(home) as file:
        factor = file.factors.get(name)
        if factor is None:
            return "there is no second factor of this name any more; sign in again"
        if now < factor.locked:
            return f"too many wrong codes: no code is taken for {(factor.locked - now) // 60 + 1:.0f} min"
        step = _find_step(factor.secret, code, now)
        if step is not None and step > factor.last:
            file.factors[name] = factor.model_copy(update={"last": step, "failures": 0})
            return ""
        failures = factor.failures + 1
        locked = now + _LOCKED_S if failures % _TRIES == 0 else factor.locked
        file.factors[name] = factor.model_copy(update={"failures": failures, "locked": locked})
        return (
            "the code was used already: wait for the next one" if step is not None else "the code is wrong, or too old"
        )


def _find_step(secret: str, code: str, now: float) -> int | None:
    """The step whose code this is."""
    totp, present = pyotp.TOTP(secret), int(now // _STEP_S)
    given = code.replace(" ", "")
    found = None
    for step in range(present - _AROUND, present + _AROUND + 1):
        if hmac.compare_digest(totp.generate_otp(step).encode(), given.encode()):
            found = step
    return found


@contextmanager
def _change(home: Home) -> Iterator[_File]:
    home.second_factors.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    busy = ExpectedError("another sign-in is being checked; try again")
    with hold_lock(home.second_factors.with_name(".second_factors.lock"), busy):
        file = _read(home)
        yield file
        write_atomically(home.second_factors, file.model_dump_json(indent=2).encode() + b"\n")


def _read(home: Home) -> _File:
    path = home.second_factors
    try:
        if path.stat().st_mode & _OTHERS:
            raise ExpectedError(
                f"others may read {path}: run `chmod 600` on it, and give everybody a new second factor"
            )
        return _File.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return _File()
    except (OSError, ValidationError):
        raise ExpectedError(
            f"{path} cannot be read; restore it, or delete it and make the second factors anew"
        ) from None
