from __future__ import annotations

import pytest

from client.worker.rate_limit import TokenBucket


class Clock:
    def __init__(self) -> None:
        self.time, self.slept = 0.0, 0.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds
        self.slept += seconds


def test_a_burst_passes_at_once_and_a_flood_at_a_steady_rate() -> None:
    clock = Clock()
    bucket = TokenBucket(10, 2.0, clock.now, clock.sleep)
    for _ in range(10):
        bucket.wait()
    assert clock.slept == 0
    for _ in range(100):
        bucket.wait()
    assert clock.slept == pytest.approx(50.0)


def test_a_pause_fills_the_bucket_but_not_beyond_its_rim() -> None:
    clock = Clock()
    bucket = TokenBucket(10, 2.0, clock.now, clock.sleep)
    clock.time = 1e6
    for _ in range(11):
        bucket.wait()
    assert clock.slept == pytest.approx(0.5)
