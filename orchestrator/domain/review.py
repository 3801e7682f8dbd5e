"""A radiologist's verdict on a result and the moves allowed between verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from orchestrator.domain.errors import ForbiddenTransition
from orchestrator.domain.job import JobState


class ReviewState(StrEnum):
    """``pending`` until a person gives a verdict; a superseded or retracted result takes no verdict."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    CORRECTED = "corrected"
    SECOND_READER = "second-reader"  # one verdict given, awaiting another person's
    DISAGREED = "disagreed"  # the verdicts of two readers differ; a third verdict settles it
    SUPERSEDED = "superseded"
    RETRACTED = "retracted"  # the model was found to be faulty


class RejectReason(StrEnum):
    """Why a result is rejected; wrong patient, side or geometry is a matter of patient safety."""

    WRONG = "wrong"  # finding or outline is not right
    INCOMPLETE = "incomplete"
    NOT_USEFUL = "not-useful"
    WRONG_PATIENT = "wrong-patient"
    WRONG_SIDE = "wrong-side"
    WRONG_GEOMETRY = "wrong-geometry"

    @property
    def concerns_safety(self) -> bool:
        """True where the rejection is titled (113037, DCM) instead of (113001, DCM)."""
        return self in {RejectReason.WRONG_PATIENT, RejectReason.WRONG_SIDE, RejectReason.WRONG_GEOMETRY}


VERDICTS = frozenset({ReviewState.ACCEPTED, ReviewState.REJECTED, ReviewState.CORRECTED})
"""States that a person's verdict gives."""
WAITING = frozenset({ReviewState.PENDING, ReviewState.SECOND_READER, ReviewState.DISAGREED})
"""States that await a verdict."""
CLOSED = frozenset({ReviewState.SUPERSEDED, ReviewState.RETRACTED})
"""States that take no verdict."""

_R = ReviewState
_READ_AGAIN = frozenset({_R.SECOND_READER, _R.DISAGREED})
REVIEW_MOVES: Mapping[ReviewState, frozenset[ReviewState]] = {
    _R.PENDING: VERDICTS | CLOSED,
    _R.ACCEPTED: VERDICTS - {_R.ACCEPTED} | _READ_AGAIN | CLOSED,
    _R.REJECTED: VERDICTS - {_R.REJECTED} | _READ_AGAIN | CLOSED,
    # what was corrected may be corrected again
    _R.CORRECTED: VERDICTS | _READ_AGAIN | CLOSED,
    _R.SECOND_READER: VERDICTS | CLOSED,
    _R.DISAGREED: VERDICTS | CLOSED,
    # the report of a superseded result is still in the archive
    _R.SUPERSEDED: frozenset({_R.RETRACTED}),
    _R.RETRACTED: frozenset(),
}


def review_move(before: ReviewState, after: ReviewState) -> ReviewState:
    """Return ``after`` where the move is allowed.

    Raises ForbiddenTransition.
    """
    if after not in REVIEW_MOVES[before]:
        raise ForbiddenTransition(f"a result that is {before} cannot become {after}")
    return after


_ENDED_WITHOUT_VERDICT: Mapping[JobState, str] = {JobState.SUPERSEDED: "superseded", JobState.FAILED: "cancelled"}


def check_takes_verdict(job: JobState, review: ReviewState) -> None:
    """Raise ForbiddenTransition for a result that was superseded, cancelled or retracted."""
    if why := why_no_verdict(job, review):
        raise ForbiddenTransition(f"the result was {why} and takes no verdict")


def why_no_verdict(job: JobState, review: ReviewState) -> str:
    """Return what happened to a result that takes no verdict ("superseded"), empty where it takes one."""
    return str(review) if review in CLOSED else _ENDED_WITHOUT_VERDICT.get(job, "")
