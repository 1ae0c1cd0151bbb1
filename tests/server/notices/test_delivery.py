"""Mails and posts reach servers on this machine, and every way in which they may not is told in one line."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from pathlib import Path

import pytest
from notice_servers import Hook, MailBox, mail_server, make_certificate, web_server

from server.notices import delivery
from server.notices.delivery import DeliveryError, deliver
from server.notices.message import Message, compose_test, make_message
from server.notices.notices_file import Notices, Recipient, Smtp, Webhook
from server.run_folder.paths import Home
from tests.support.real_federation import ports

CHINESE = "中心一：肝脏超声造影研究已停止，原因：磁盘已满"
FROM = "ceus@example.org"


def made(line: str = CHINESE) -> Message:
    return make_message("lab:abc", time.time(), line, ("end",), [line])


def mail_notices(port: int, **more: object) -> Notices:
    smtp = Smtp.model_validate(
        {"host": "localhost", "port": port, "security": "none", "from": FROM, **more}, strict=False
    )
    people = (Recipient(name="Ada", role="coordinator", email="ada@example.org"),)
    return Notices.model_validate({"schema": 1, "smtp": smtp, "people": people})


def hook_notices(url: str, **more: str) -> Notices:
    people = (Recipient(name="Ada", role="coordinator", webhook=Webhook(url=url, **more)),)
    return Notices.model_validate({"schema": 1, "people": people})


def send(folder: Path, notices: Notices, way: str, message: Message | None = None) -> None:
    deliver(Home(folder), notices, notices.people[0], way, message or made())


def secret(folder: Path, name: str, text: str = "a secret") -> str:
    (folder / name).write_text(text + "\n", encoding="utf-8")
    (folder / name).chmod(0o600)
    return name


def test_a_mail_arrives_whole_in_chinese(tmp_path: Path) -> None:
    message = made()
    with mail_server(MailBox()) as box:
        send(tmp_path, mail_notices(box.port), "email", message)
    (mail,) = box.mails
    assert (mail["To"], mail["From"], mail["Subject"]) == ("ada@example.org", FROM, f"lab: {CHINESE}")
    assert mail["Message-ID"] == f"<{message.id}@example.org>"
    assert mail.get_content_type() == "text/plain"
    assert mail.get_content().splitlines()[0] == CHINESE


def test_a_mail_goes_by_starttls_with_a_login(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path / "made.pem")
    secure = {"security": "starttls", "ca_file": "made.pem", "user": "ceus"}
    with mail_server(MailBox(), certificate, "right") as box:
        send(tmp_path, mail_notices(box.port, **secure, password_file=secret(tmp_path, "a", "right")), "email")
        assert len(box.mails) == 1
        with pytest.raises(DeliveryError, match=r"the mail server refused: 535"):
            send(tmp_path, mail_notices(box.port, **secure, password_file=secret(tmp_path, "b", "wrong")), "email")
        with pytest.raises(DeliveryError, match="the mail server cannot be reached: .*self-signed certificate"):
            send(tmp_path, mail_notices(box.port, security="starttls"), "email")
    assert len(box.mails) == 1


def test_a_server_without_tls_gets_nothing_where_tls_is_wanted(tmp_path: Path) -> None:
    with mail_server(MailBox()) as box, pytest.raises(DeliveryError, match="STARTTLS extension not supported"):
        send(tmp_path, mail_notices(box.port, security="starttls"), "email")
    assert not box.mails


def test_a_refused_address_is_final_and_told_without_it(tmp_path: Path) -> None:
    with mail_server(MailBox(refused=("ada@example.org",))) as box, pytest.raises(DeliveryError) as refused:
        send(tmp_path, mail_notices(box.port), "email")
    assert refused.value.final
    assert str(refused.value) == "the mail server refused the address: 550 5.1.1 ‹b›no such user‹/b›"


@pytest.mark.parametrize("way", ["email", "webhook"])
def test_a_server_that_is_down_is_tried_again(tmp_path: Path, way: str) -> None:
    (port,) = ports(1)
    notices = mail_notices(port) if way == "email" else hook_notices(f"http://localhost:{port}/")
    with pytest.raises(DeliveryError, match="cannot be reached: .*[Cc]onnect") as down:
        send(tmp_path, notices, way)
    assert not down.value.final


@pytest.mark.parametrize("way", ["email", "webhook"])
def test_a_slow_server_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    monkeypatch.setattr(delivery, "TIMEOUT_S", 0.3)
    with mail_server(MailBox(slow_s=1.0)) as box, web_server(Hook(slow_s=1.0)) as hook:
        notices = mail_notices(box.port) if way == "email" else hook_notices(f"http://localhost:{hook.port}/")
        with pytest.raises(DeliveryError, match="did not answer within") as slow:
            send(tmp_path, notices, way)
    assert not slow.value.final


def test_a_post_is_signed_and_its_text_whole(tmp_path: Path) -> None:
    message = made()
    with web_server(Hook()) as hook:
        send(
            tmp_path,
            hook_notices(f"http://localhost:{hook.port}/x", secret_file=secret(tmp_path, "s")),
            "webhook",
            message,
        )
    ((headers, body),) = hook.posts
    stamp, _, code = headers["X-Fedceus-Signature"].partition(",")
    seconds = stamp.removeprefix("t=")
    assert abs(int(seconds) - time.time()) < 60
    expected = hmac.new(b"a secret", seconds.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert code == f"v1={expected}"
    found = json.loads(body.decode("utf-8"))
    assert CHINESE in body.decode("utf-8")
    assert (found["id"], headers["X-Fedceus-Id"]) == (message.id, message.id)
    assert found["text"].splitlines() == [f"lab: {CHINESE}", CHINESE]


@pytest.mark.parametrize(
    ("code", "final"), [(500, False), (503, False), (429, False), (404, True), (403, True), (302, True)]
)
def test_a_web_server_that_refuses(tmp_path: Path, code: int, final: bool) -> None:
    with web_server(Hook(codes=[code])) as hook, pytest.raises(DeliveryError, match=f"answered {code}") as refused:
        send(tmp_path, hook_notices(f"http://localhost:{hook.port}/"), "webhook")
    assert refused.value.final is final
    assert not hook.posts  # a redirection is not followed


def test_a_web_server_with_another_certificate_gets_nothing(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path / "made.pem")
    with web_server(Hook(), certificate) as hook:
        url = f"https://localhost:{hook.port}/token-of-the-hook"
        with pytest.raises(DeliveryError, match="the web server cannot be reached: .*certificate") as wrong:
            send(tmp_path, hook_notices(url), "webhook")
        assert "token" not in str(wrong.value)
        assert not hook.posts
        send(tmp_path, hook_notices(url, ca_file="made.pem"), "webhook")
    assert len(hook.posts) == 1


def test_a_secret_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    (tmp_path / secret(tmp_path, "open")).chmod(0o644)
    with web_server(Hook()) as hook:
        with pytest.raises(DeliveryError, match="only its owner may read .*chmod 600"):
            send(tmp_path, hook_notices(f"http://localhost:{hook.port}/", secret_file="open"), "webhook")
        with pytest.raises(DeliveryError, match="found none; write it"):
            send(tmp_path, hook_notices(f"http://localhost:{hook.port}/", secret_file="none"), "webhook")
    assert not hook.posts


def test_a_test_message_says_what_it_is() -> None:
    message = compose_test("lab:abc", 0.0, "Ada <b>\r\nBcc: eve@example.org")
    assert message.lines == ("this is a test for Ada ‹b› Bcc: eve@example.org: notices of this federation arrive here",)
