"""A radiologist's verdict on a result and the moves allowed between verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from orchestrator.domain.errors import ForbiddenTransition


class ReviewState(StrEnum):
    """``pending`` until a person says something; a superseded or retracted result takes no verdict."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    CORRECTED = "corrected"
    SUPERSEDED = "superseded"
    RETRACTED = "retracted"  # its model turned out to be faulty


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


CLOSED = frozenset({ReviewState.SUPERSEDED, ReviewState.RETRACTED})
"""No verdict is taken any more."""

_R = ReviewState
REVIEW_MOVES: Mapping[ReviewState, frozenset[ReviewState]] = {
    _R.PENDING: frozenset({_R.ACCEPTED, _R.REJECTED, _R.CORRECTED}) | CLOSED,
    _R.ACCEPTED: frozenset({_R.REJECTED, _R.CORRECTED}) | CLOSED,
    _R.REJECTED: frozenset({_R.ACCEPTED, _R.CORRECTED}) | CLOSED,
    _R.CORRECTED: frozenset({_R.REJECTED, _R.CORRECTED}) | CLOSED,
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
