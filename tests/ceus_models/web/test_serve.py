"""A console listens at every address of the host that it is given, on both families."""

from __future__ import annotations

import socket

import pytest

from ceus_models.runtime.errors import ExpectedError
from ceus_models.web.serve import listening, url_of


def has_ipv6_loopback() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6_loopback(), reason="needs IPv6 on loopback")


def reached(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), 5.0).close()
    except OSError:
        return False
    return True


@needs_ipv6
def test_a_name_of_two_addresses_is_open_at_both(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [(socket.AF_INET6, 1, 6, "", ("::1", 0, 0, 0)), (socket.AF_INET, 1, 6, "", ("127.0.0.1", 0))]
    monkeypatch.setattr("ceus_models.web.serve.socket.getaddrinfo", lambda *_, **__: both)
    with listening("localhost", 0) as opened:
        port = opened[0].getsockname()[1]
        assert url_of(opened, secure=False) == f"http://127.0.0.1:{port}/"
        monkeypatch.undo()
        assert [reached("127.0.0.1", port), reached("::1", port)] == [True, True]
    assert not reached("::1", port)


@needs_ipv6
def test_the_address_of_all_addresses_is_open_on_both_families() -> None:
    with listening("::", 0) as opened:
        port = opened[0].getsockname()[1]
        assert [reached("127.0.0.1", port), reached("::1", port)] == [True, True]


@needs_ipv6
def test_an_ipv6_address_stands_in_brackets() -> None:
    with listening("::1", 0) as opened:
        port = opened[0].getsockname()[1]
        assert url_of(opened, secure=True) == f"https://[::1]:{port}/"
        assert not reached("127.0.0.1", port)


def test_an_address_of_a_family_that_the_machine_does_not_use_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [(socket.AF_INET, 1, 6, "", ("127.0.0.1", 0)), (socket.AF_INET6, 1, 6, "", ("2001:db8::9", 0, 0, 0))]
    monkeypatch.setattr("ceus_models.web.serve.socket.getaddrinfo", lambda *_, **__: both)
    with listening("here", 0) as opened:
        assert [one.getsockname()[0] for one in opened] == ["127.0.0.1"]


def test_a_port_that_is_taken_and_a_name_that_is_nobodys_are_refused() -> None:
    with listening("127.0.0.1", 0) as opened:
        port = opened[0].getsockname()[1]
        with (
            pytest.raises(ExpectedError, match=f"port {port} of 127.0.0.1 cannot be opened"),
            listening("127.0.0.1", port),
        ):
            pass
    with pytest.raises(ExpectedError, match="cannot be opened"), listening("nobody.invalid", 0):
        pass
    with pytest.raises(ExpectedError, match="cannot be opened"), listening("192.0.2.1", 0):
        pass
