"""How fast the worker takes requests: a burst at once, then a steady few, so that no flood fills logs and audit."""

from __future__ import annotations

import time
from collections.abc import Callable


class TokenBucket:
    """A token bucket of `burst` requests that fills by `per_second`."""

    def __init__(
        self,
        burst: int,
        per_second: float,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """The bucket is full at first."""
        self._burst, self._per_second = burst, per_second
        self._now, self._sleep = now, sleep
        self._left, self._at = float(burst), now()

    def wait(self) -> None:
        """Return when one more request may be taken."""
        self._fill()
        if self._left < 1:
            self._sleep((1 - self._left) / self._per_second)
            self._fill()
        self._left -= 1

    def _fill(self) -> None:
        now = self._now()
        self._left = min(float(self._burst), self._left + (now - self._at) * self._per_second)
        self._at = now
