from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from ceus_models.runtime.json_logs import log_as_json

NAME = "a-library"


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    made = logging.getLogger(NAME)
    made.setLevel(logging.DEBUG)
    yield made
    made.handlers = []


def test_every_record_is_one_short_line_and_no_exceptions_text(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    logger.addHandler(logging.StreamHandler())
    log_as_json(NAME)
    logger.info("Exit Code: %s\n\nFailed to activate", 305)
    logger.info("")
    logger.debug("details")
    try:
        raise ValueError("patient 12345")
    except ValueError:
        logger.exception("it failed")
    logger.warning("x" * 10_000)
    said = capsys.readouterr()
    lines = [json.loads(line) for line in said.out.splitlines()]
    assert [line["level"] for line in lines] == ["info", "error", "warning"]
    assert lines[0]["said"] == "Exit Code: 305 Failed to activate"
    assert lines[1]["type"] == "ValueError"
    assert len(lines[2]["said"]) == 2000
    assert "12345" not in said.out + said.err
