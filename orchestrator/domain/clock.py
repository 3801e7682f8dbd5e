"""The clock that parts of the host read, so that a test can set the time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the time with its zone."""


def utc_now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)
