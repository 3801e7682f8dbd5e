"""How long to wait before something that failed is tried again: the one policy of this host.

The first wait doubles with each failure up to the longest wait. There is no jitter: this host tries each peer
from one place at a time, so there is no crowd to spread.
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
        """Return how long to wait after so many failures in a row; after none as after one."""
        doublings = min(max(failures - 1, 0), _MOST_DOUBLINGS)
        return min(self.first_seconds * 2.0**doublings, self.longest_seconds)
