"""Double reading: whether a result needs a second reader, and whether both readers agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from orchestrator.domain.errors import ForbiddenTransition
from orchestrator.domain.records import ReviewRecord
from orchestrator.domain.review import REVIEW_MOVES, VERDICTS, WAITING, ReviewState


class SecondReader(StrEnum):
    """Which verdicts need a second reader."""

    NONE = "none"
    OVERRULED = "overruled"  # those that reject or correct the result
    ALL = "all"


@dataclass(frozen=True, slots=True)
class ReadingPolicy:
    """How this site reads results. blinded: the second reader does not see the first verdict."""

    second_reader: SecondReader = SecondReader.NONE
    blinded: bool = True


ONE_READER: Final = ReadingPolicy()

WAITS_FOR: Final[Mapping[ReviewState, str]] = {
    ReviewState.SECOND_READER: "waits for a second reader",
    ReviewState.DISAGREED: "the readers disagree; a third verdict is needed",
}
"""What a review that waits for another person says."""


def check_seen(newest: ReviewRecord, verdict: ReviewState, seen: ReviewState, seen_at: datetime | None = None) -> None:
    """Return where the reviewer saw the newest review and does not repeat it.

    seen, seen_at: state and time of the review that the reviewer saw; without a time only the state counts.
    Raises ForbiddenTransition that says who was faster, and when.
    """
    saw_newest = newest.state is seen and seen_at in (None, newest.at)
    repeats = verdict is newest.state and verdict not in REVIEW_MOVES[newest.state] and newest.by
    if not saw_newest or repeats:
        raise ForbiddenTransition(_changed_since(newest))


def _changed_since(newest: ReviewRecord) -> str:
    if newest.state in WAITING:
        words = WAITS_FOR.get(newest.state, "awaits review")
        return f"job {newest.job_key[:12]}: the result changed since you opened it ({words}); reload it"
    who, when = newest.by or "the host", newest.at.strftime("%Y-%m-%d %H:%M UTC")
    return f"{who} already {newest.state} this result at {when}"


def after_verdict(
    seen: ReviewRecord, first: ReviewRecord | None, verdict: ReviewRecord, policy: SecondReader
) -> ReviewState | None:
    """Return the waiting state of a result after a verdict, None where the verdict is final.

    seen: the newest review before the verdict. first: the first reader's verdict, where a second reader is due.
    """
    if verdict.state not in VERDICTS or seen.state is ReviewState.DISAGREED:
        return None
    if seen.state is ReviewState.SECOND_READER:
        return None if first is None or agree(first, verdict) else ReviewState.DISAGREED
    overruled = verdict.state is not ReviewState.ACCEPTED
    due = policy is SecondReader.ALL or (policy is SecondReader.OVERRULED and overruled)
    return ReviewState.SECOND_READER if due else None


def agree(first: ReviewRecord, second: ReviewRecord) -> bool:
    """Return True where both verdicts agree; two corrections agree where their values are the same."""
    return first.state is second.state and _values(first) == _values(second)


def check_second_reader(first: ReviewRecord, second: ReviewRecord) -> None:
    """Check that the second verdict is another person's.

    Raises ForbiddenTransition.
    """
    if _name(first.by) == _name(second.by):
        raise ForbiddenTransition(f"{first.by} gave the first verdict; the second reader must be another person")


def _values(verdict: ReviewRecord) -> dict[str, object]:
    return {str(change.get("at") or change.get("what")): change.get("after") for change in verdict.changes}


def _name(text: str) -> str:
    """Return a name for comparison: capitals, blanks and full stops do not count."""
    return " ".join(text.casefold().replace(".", " ").split())
