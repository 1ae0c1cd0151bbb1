"""`ceus-site` on lesions that take their time; for tests that stop it."""

from __future__ import annotations

import time
from typing import Any

import client.data.dataset.sample_maker
from client.cli import main
from client.data.analysis.pipeline import build_sample

SLEEP_S = 0.3


def slow(*more: Any) -> Any:
    """As `build_sample`, later."""
    time.sleep(SLEEP_S)
    return build_sample(*more)


client.data.dataset.sample_maker.build_sample = slow  # type: ignore[attr-defined]

if __name__ == "__main__":
    main.main()
