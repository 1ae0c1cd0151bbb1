"""Forms: read within a bound, with their files; and known to come from a page of ours."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from starlette.requests import Request
from starlette.types import Message

from ceus_models.web.forms import FormError, is_asked_here, is_from_here, read_form

FILE = (
    b'--b\r\ncontent-disposition: form-data; name="form"\r\n\r\nword\r\n'
    b'--b\r\ncontent-disposition: form-data; name="document"; filename="x"\r\n\r\n\xff\x00\r\n--b--\r\n'
)


def request_of(body: bytes, headers: Mapping[str, str]) -> Request:
    pieces = [body[at : at + 100] for at in range(0, len(body), 100)] or [b""]

    async def receive() -> Message:
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    named = [(name.encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "headers": named, "query_string": b""}, receive)


def read(body: bytes, kind: str, longest: int = 1000) -> dict[str, str | bytes]:
    return asyncio.run(read_form(request_of(body, {"content-type": kind}), longest))


def test_texts_and_files_are_read() -> None:
    assert read(b"name=a%20b&to=%2F", "application/x-www-form-urlencoded") == {"name": "a b", "to": "/"}
    assert read(FILE, "multipart/form-data; boundary=b") == {"form": "word", "document": b"\xff\x00"}
    assert read(b"name=a", "text/plain") == {}


def test_a_body_that_is_too_long_is_not_read_to_its_end() -> None:
    assert read(b"name=" + b"x" * 995, "application/x-www-form-urlencoded")
    with pytest.raises(FormError, match="at most 1000 bytes"):
        read(b"name=" + b"x" * 996, "application/x-www-form-urlencoded")


@pytest.mark.parametrize(
    ("site", "ours"), [("same-origin", True), ("same-site", False), ("cross-site", False), ("none", False)]
)
def test_what_the_browser_says_of_the_origin_counts(site: str, ours: bool) -> None:
    request = request_of(b"", {"sec-fetch-site": site})
    assert is_from_here(request) is ours
    assert is_asked_here(request, "word", "word") is ours


def test_the_word_must_be_the_expected_one_and_there_must_be_one() -> None:
    request = request_of(b"", {})
    assert is_asked_here(request, "word", "word")
    for given, expected in (("wor", "word"), ("", "word"), ("", ""), ("é", "word")):
        assert not is_asked_here(request, given, expected)
