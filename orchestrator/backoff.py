"""Waits between retries: the one policy of this host.

The wait doubles with each failure, up to the longest wait. There is no jitter: only one process of this host retries
a peer at a time, so retries need not be spread.
"""

from __future__ import annotations

from dataclasses import dataclass

_MOST_DOUBLINGS = 32
"""Days of outage make thousands of failures, and 2.0 ** 1024 overflows."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits that double: ``first_seconds`` after the first failure, at most ``longest_seconds``."""

    first_seconds: float
    longest_seconds: float

    def seconds(self, failures: int) -> float:
        """Return the wait after that many failures in a row; no failure counts as one."""
        doublings = min(max(failures - 1, 0), _MOST_DOUBLINGS)
        return min(self.first_seconds * 2.0**doublings, self.longest_seconds)
