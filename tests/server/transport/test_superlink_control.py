"""The SuperLink's control interface where nobody answers."""

from __future__ import annotations

import pytest

from ceus_models.runtime.errors import ExpectedError
from server.transport.superlink_control import Control


def test_an_absent_superlink_is_an_expected_error() -> None:
    with Control("127.0.0.1:9") as control, pytest.raises(ExpectedError, match=r"127\.0\.0\.1:9 failed on a request"):
        control.submit({"seed": 1})
