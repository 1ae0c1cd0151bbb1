"""Which levels have secure sums, and how many sites those need at least."""

from __future__ import annotations

from ceus_models.protocol.messages import Level

SECURE_LEVELS: tuple[Level, ...] = ("sums", "distributed")
"""Levels whose answers go into a secure sum."""
LEAST_SITES = 3
"""Of two sites, each could subtract its own numbers from the total."""
