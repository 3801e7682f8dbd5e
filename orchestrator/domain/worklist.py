"""Which results somebody looks for, and in which order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from orchestrator.domain.result import Urgency
from orchestrator.domain.review import ReviewState


class Order(StrEnum):
    """What comes first; results that are alike in it come by urgency, then priority, then the longest wait."""

    URGENCY = "urgency"
    OLDEST = "oldest"
    NEWEST = "newest"
    MODEL = "model"
    STATE = "state"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What results must have; what is empty or None leaves all. urgencies: with None, those that state none.

    since: made then or later.
    """

    states: frozenset[ReviewState] = frozenset()
    model: str = ""
    urgencies: frozenset[Urgency | None] = frozenset()
    since: datetime | None = None


EVERY_RESULT = Wanted()
