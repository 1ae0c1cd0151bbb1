"""Log records of libraries as JSON lines, in the format of our own processes."""

from __future__ import annotations

import json
import logging
import sys

_LONGEST = 2000


class JsonFormatter(logging.Formatter):
    """One JSON object a record: at, event, level, and the text as `said`; of an exception only its type."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record as one line."""
        text = " ".join(record.getMessage().split())[:_LONGEST]
        line = {"at": round(record.created, 3), "event": "log", "level": record.levelname.lower(), "said": text}
        if record.exc_info and record.exc_info[0] is not None:
            line["type"] = record.exc_info[0].__name__
        return json.dumps(line)


def log_as_json(name: str) -> None:
    """Let a library's logger write JSON lines on standard output from level INFO on, without empty records."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setLevel(logging.INFO)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(lambda record: bool(record.getMessage().strip()))
    logger = logging.getLogger(name)
    logger.handlers = [handler]
    logger.propagate = False
