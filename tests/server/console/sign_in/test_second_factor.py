"""Codes of an authenticator: each once, for a minute and a half, five wrong ones in a row; also after a restart.

The codes come from an implementation of RFC 6238 of a few lines here, not from the library that checks them.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
import struct
import time
from pathlib import Path

import pytest
from coordinator_commands import told
from made_console import Desk
from made_federation import NOW, lab

import server.console.sign_in.users
from ceus_models.runtime.errors import ExpectedError
from server.console.sign_in.second_factor import check_code, format_uri, has_factor, make_secret, set_factor
from server.console.sign_in.users import add_person, remove_person
from server.run_folder.paths import Home

AT = 1_700_000_000.0


def code_at(secret: str, moment: float) -> str:
    digest = hmac.digest(base64.b32decode(secret), struct.pack(">Q", int(moment // 30)), "sha1")
    place = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[place : place + 4])[0] & 0x7FFFFFFF) % 10**6:06d}"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setitem(server.console.sign_in.users._COST, "n", 2)
    return lab(tmp_path / "co").home


@pytest.fixture
def secret(home: Home) -> str:
    made = make_secret()
    set_factor(home, "ada", made, code_at(made, AT - 300), AT - 300)
    return made


def test_the_codes_are_those_of_the_standard() -> None:
    """RFC 6238, appendix B: SHA-1 at 59 s, 1111111109 s and 2000000000 s; its eight digits end in our six."""
    standard = base64.b32encode(b"12345678901234567890").decode()
    assert [code_at(standard, at) for at in (59, 1111111109, 2000000000)] == ["287082", "081804", "279037"]


def test_a_code_works_once(home: Home, secret: str) -> None:
    assert check_code(home, "ada", code_at(secret, AT), AT) == ""
    assert "used already" in check_code(home, "ada", code_at(secret, AT), AT + 5)
    assert "used already" in check_code(home, "ada", code_at(secret, AT - 30), AT + 5)  # older than one that was taken
    assert check_code(home, "ada", code_at(secret, AT + 30), AT + 30) == ""


def test_the_code_that_made_the_factor_does_not_sign_in(home: Home) -> None:
    made = make_secret()
    with pytest.raises(ExpectedError, match="nothing was changed"):
        set_factor(home, "ada", made, code_at(made, AT + 90), AT)
    assert not has_factor(home, "ada")
    set_factor(home, "ada", made, code_at(made, AT), AT)
    assert "used already" in check_code(home, "ada", code_at(made, AT), AT + 1)


def test_one_step_before_and_after_and_no_more(home: Home, secret: str) -> None:
    assert "too old" in check_code(home, "ada", code_at(secret, AT - 60), AT)
    assert "wrong" in check_code(home, "ada", code_at(secret, AT + 60), AT)
    assert check_code(home, "ada", code_at(secret, AT - 30), AT) == ""
    assert check_code(home, "ada", code_at(secret, AT + 30)[:3] + " " + code_at(secret, AT + 30)[3:], AT) == ""


@pytest.mark.parametrize("code", ["", "000", "1234567", "abcdef", "１２３４５６", "٣"])
def test_what_is_no_code_is_wrong(home: Home, secret: str, code: str) -> None:
    assert "wrong" in check_code(home, "ada", code, AT)


def test_after_five_wrong_codes_no_code_is_taken_for_a_quarter_of_an_hour(home: Home, secret: str) -> None:
    wrong = f"{(int(code_at(secret, AT)) + 1) % 10**6:06d}"
    for _ in range(5):
        assert "wrong" in check_code(home, "ada", wrong, AT)
    assert "too many" in check_code(home, "ada", code_at(secret, AT), AT)
    assert "for 1 min" in check_code(home, "ada", code_at(secret, AT + 890), AT + 890)
    assert check_code(home, "ada", code_at(secret, AT + 901), AT + 901) == ""
    for _ in range(4):
        assert "wrong" in check_code(home, "ada", wrong, AT + 1000)  # counted anew


def test_the_file_is_private_and_one_that_others_may_read_is_refused(home: Home, secret: str) -> None:
    assert home.second_factors.stat().st_mode & 0o777 == 0o600
    home.second_factors.chmod(0o640)
    with pytest.raises(ExpectedError, match="others may read"):
        check_code(home, "ada", code_at(secret, AT), AT)
    home.second_factors.chmod(0o600)
    home.second_factors.write_text("{")
    with pytest.raises(ExpectedError, match="cannot be read"):
        check_code(home, "ada", code_at(secret, AT), AT)


def test_whoever_is_added_anew_has_no_factor_of_an_earlier_one(home: Home, secret: str) -> None:
    add_person(home, "ada", "coordinator", NOW)
    remove_person(home, "ada")
    assert not has_factor(home, "ada")


def signed_in(there: Desk, code: str) -> str:
    answer = there.sign_in("ada", there.tokens["ada"], code)
    if answer.status == 303:
        return ""
    found = re.search(r'role="alert"><p>(.*?)</p>', answer.text, re.S)
    assert found is not None
    return found[1]


def test_signing_in_asks_for_the_code_and_a_restart_of_the_console_gives_no_second_try(home: Home, secret: str) -> None:
    home.console_settings.write_text("schema: 1\nsecond_factor: [coordinator]\n")
    made = lab(home.folder)
    tokens = {"ada": add_person(home, "ada", "coordinator", NOW), "bob": add_person(home, "bob", "coordinator", NOW)}
    there = Desk(made, tokens)
    assert "give the code" in signed_in(there, "")
    code = code_at(secret, time.time())
    assert signed_in(there, code) == ""
    assert "used already" in signed_in(Desk(made, tokens), code)
    answer = there.sign_in("bob", tokens["bob"])
    assert answer.status == 401
    assert "people FOLDER totp bob" in answer.text
    assert there.sign_in("ada", "wrong", code_at(secret, time.time() + 30)).status == 401
    assert not [one for one in (code, secret, *tokens.values()) if one in json.dumps(there.said)]


def test_who_has_a_factor_needs_it_whatever_the_federation_says(home: Home, secret: str) -> None:
    there = Desk(lab(home.folder), {"ada": add_person(home, "ada", "researcher", NOW)})
    assert "give the code" in signed_in(there, "")


def test_the_command_shows_the_secret_and_confirms_it(
    home: Home, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    add_person(home, "ada", "coordinator", NOW)
    add_person(home, "robot", "monitor", NOW)
    made = make_secret()
    monkeypatch.setattr("server.cli.people.make_secret", lambda: made)
    monkeypatch.setattr("typer.prompt", lambda _: "000000" if code_at(made, time.time()) != "000000" else "1")
    assert "nothing was changed" in told(capfd, "people", home.folder, "totp", "ada", code=1)
    monkeypatch.setattr("typer.prompt", lambda _: code_at(made, time.time()))
    said = told(capfd, "people", home.folder, "totp", "ada")
    assert format_uri(made, "ada", "lab") in said
    assert f"otpauth://totp/fedceus%20lab:ada?secret={made}&issuer=fedceus%20lab" in said
    assert "█" in said
    assert re.search(r"ada +│ coordinator +│ .* +│ yes", told(capfd, "people", home.folder, "list"))
    assert "is for a coordinator or researcher" in told(capfd, "people", home.folder, "totp", "robot", code=1)
    assert "is for a coordinator or researcher" in told(capfd, "people", home.folder, "totp", "eve", code=1)
    assert "needs no code any more" in told(capfd, "people", home.folder, "totp", "ada", "--off")
    assert not has_factor(home, "ada")
