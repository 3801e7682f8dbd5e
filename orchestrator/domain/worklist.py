"""Filter and order of the worklist."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from orchestrator.domain.result import Urgency
from orchestrator.domain.review import ReviewState


class Order(StrEnum):
    """Sort order; equal results come by urgency, then priority, then waiting time."""

    URGENCY = "urgency"
    OLDEST = "oldest"
    NEWEST = "newest"
    MODEL = "model"
    STATE = "state"


@dataclass(frozen=True, slots=True)
class ResultFilter:
    """Conditions on results; an empty or None field sets no condition. urgencies: None in it = no urgency given.

    since: created then or later.
    """

    states: frozenset[ReviewState] = frozenset()
    model: str = ""
    urgencies: frozenset[Urgency | None] = frozenset()
    since: datetime | None = None


EVERY_RESULT = ResultFilter()
