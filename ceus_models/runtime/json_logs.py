"""Log records of libraries as the JSON lines that our own processes write."""

from __future__ import annotations

import json
import logging
import sys

_LONGEST = 2000


class JsonLines(logging.Formatter):
    """at, event "log", level, said: the first 2,000 characters. Of an exception only its type."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever the record holds."""
        said = " ".join(record.getMessage().split())[:_LONGEST]
        line = {"at": round(record.created, 3), "event": "log", "level": record.levelname.lower(), "said": said}
        if record.exc_info and record.exc_info[0] is not None:
            line["type"] = record.exc_info[0].__name__
        return json.dumps(line)


def log_as_json(name: str) -> None:
    """Have a library's logger write JSON lines on standard output, from level INFO on; empty records are dropped."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setLevel(logging.INFO)
    handler.setFormatter(JsonLines())
    handler.addFilter(lambda record: bool(record.getMessage().strip()))
    logger = logging.getLogger(name)
    logger.handlers = [handler]
    logger.propagate = False
