"""Lets a job wait while the database does not answer: an outage of minutes must not fail what a model computed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from orchestrator.backoff import Backoff
from orchestrator.database import DatabaseUnavailable, database_faults

P = ParamSpec("P")
T = TypeVar("T")
WAITS = Backoff(1.0, 30.0)
LONGEST_SECONDS = 24 * 3600.0
log = logging.getLogger(__name__)


def through_outages(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what the work returns; while the database cannot be used, wait and do the work again.

    The work must be repeatable. Raises DatabaseUnavailable after a day.
    """
    failures, begun_at = 0, time.monotonic()
    while True:
        try:
            with database_faults():
                return work(*args, **kwargs)
        except DatabaseUnavailable as fault:
            if time.monotonic() - begun_at > LONGEST_SECONDS:
                raise
            failures += 1
            if failures == 1:
                log.warning("%s; a job waits for it", fault)
            time.sleep(WAITS.seconds(failures))
