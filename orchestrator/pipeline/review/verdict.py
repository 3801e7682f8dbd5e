"""A verdict on a result: every rule in one function, whoever gives the verdict and by which way.

The review page, the command line and documents from an archive call ``give_verdict`` and add no rule to it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from orchestrator.domain.correction import Correctable, Entry, WrongCorrection, changes, correctables
from orchestrator.domain.errors import ForbiddenTransition, IncompleteVerdict, UnknownRecord
from orchestrator.domain.reading import SecondReader, check_seen
from orchestrator.domain.records import JobRecord, ReviewRecord
from orchestrator.domain.review import (
    REVIEW_MOVES,
    VERDICTS,
    ReviewState,
    check_takes_verdict,
    review_move,
    why_no_verdict,
)
from orchestrator.ledger import Ledger

log = logging.getLogger(__name__)

ReviewChanged = Callable[[JobRecord, ReviewRecord, ReviewRecord], object]
"""Takes the job, the review before and the new one."""


@dataclass(frozen=True, slots=True)
class VerdictDocument:
    """A DICOM object that states a verdict. It may name nobody; then a person confirms the correction later.

    source: the trusted archive or sender that it came from. changes: what it says otherwise than the result.
    agreement: segment label -> Dice (0 to 1) between the model's mask and the edited one.
    """

    sop_uid: str
    source: str
    changes: tuple[Entry, ...] = ()
    agreement: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictRequest:
    """A verdict as somebody gives it.

    seen, seen_at: state and time of the review that the reviewer saw; without a time only the state counts.
    values: (place of a value, text that the reviewer typed for it), empty text where nothing was typed.
    """

    job_key: str
    state: ReviewState
    seen: ReviewState
    seen_at: datetime | None = None
    by: str = ""
    organization: str = ""
    reason: str = ""
    comment: str = ""
    values: Sequence[tuple[str, str]] = ()
    document: VerdictDocument | None = None


@dataclass(frozen=True, slots=True)
class ReviewedResult:
    """A job and all reviews of its result, the oldest first."""

    job: JobRecord
    reviews: tuple[ReviewRecord, ...]

    @property
    def newest(self) -> ReviewRecord:
        """The review that counts."""
        return self.reviews[-1]

    @property
    def opposed(self) -> tuple[ReviewRecord, ...]:
        """The two verdicts that differ, where the readers disagree."""
        verdicts = [review for review in self.reviews if review.state in VERDICTS]
        return tuple(verdicts[-2:]) if self.newest.state is ReviewState.DISAGREED else ()

    @property
    def correction(self) -> ReviewRecord | None:
        """The correction that the next one builds on: the newest review, or the last of two that differ."""
        if self.newest.state is ReviewState.CORRECTED:
            return self.newest
        return next((review for review in reversed(self.opposed) if review.state is ReviewState.CORRECTED), None)

    @property
    def can_confirm(self) -> bool:
        """Whether a person may confirm the correction as it is."""
        correction = self.correction
        return correction is not None and (correction.unconfirmed or self.newest.state is ReviewState.DISAGREED)

    @property
    def correctables(self) -> tuple[Correctable, ...]:
        """The values that a person may correct."""
        return correctables(self.job.findings, self.job.measurements)

    @property
    def verdicts(self) -> frozenset[ReviewState]:
        """The verdicts that a person may give now."""
        if why_no_verdict(self.job.state, self.newest.state):
            return frozenset()
        verdicts = REVIEW_MOVES[self.newest.state] & VERDICTS
        return verdicts if self.correctables or self.can_confirm else verdicts - {ReviewState.CORRECTED}


def reviewed_result(ledger: Ledger, job_key: str) -> ReviewedResult:
    """Return the result of a job with its reviews.

    Raises UnknownRecord where there is no such job, or it has no result.
    """
    job = ledger.jobs.get(job_key)
    reviews = ledger.reviews.of_job(job.key)
    if not reviews:
        raise UnknownRecord(f"job {job.key[:12]} is {job.state} and has no result to review")
    return ReviewedResult(job, reviews)


def give_verdict(
    ledger: Ledger,
    request: VerdictRequest,
    *,
    second_reader: SecondReader = SecondReader.NONE,
    review_changed: ReviewChanged = lambda *_: None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> ReviewRecord:
    """Return the result's newest review: the verdict, or that the result waits for another person's.

    review_changed: called once the verdict is in the ledger. A fault in it is logged: the verdict stands.
    Raises UnknownRecord; ForbiddenTransition where another reviewer was faster or the result takes no such verdict;
    IncompleteVerdict, WrongCorrection. The ledger is then as it was.
    """
    result = reviewed_result(ledger, request.job_key)
    before = result.newest
    check_takes_verdict(result.job.state, before.state)
    check_seen(before, request.state, request.seen, request.seen_at)
    _check_verdict(before, request)
    verdict = _record(result, request, clock())
    after = ledger.reviews.add(verdict, seen=before.state, seen_at=before.at, second_reader=second_reader)
    try:
        review_changed(result.job, before, after)
    except Exception as fault:  # noqa: BLE001  # an observer raises anything; that must not look like a lost verdict
        key, kind = result.job.key[:12], type(fault).__name__
        log.error("an observer failed on the verdict on job %s (%s); the verdict is in the ledger", key, kind)
    return after


def _check_verdict(before: ReviewRecord, request: VerdictRequest) -> None:
    """Raise IncompleteVerdict or ForbiddenTransition where the verdict lacks something or cannot follow."""
    if request.state not in VERDICTS:
        raise ForbiddenTransition(f"{request.state} is not a verdict")
    review_move(before.state, request.state)
    if request.document is None and not (request.by.strip() and request.organization.strip()):
        raise IncompleteVerdict("a verdict needs the reviewer's name and organisation")
    if before.state is ReviewState.SECOND_READER and not request.by.strip():
        raise IncompleteVerdict("the second reader must be named, but the document names nobody")
    if before.state is ReviewState.DISAGREED and not request.comment.strip():
        raise IncompleteVerdict("the readers disagree; explain in the comment how the difference was settled")
    if request.state is ReviewState.REJECTED and not request.reason.strip():
        raise IncompleteVerdict("a rejection needs a reason")
    if request.state is not ReviewState.CORRECTED and any(text.strip() for _, text in request.values):
        raise IncompleteVerdict("new values were entered; save them as a correction, or clear the fields")


def _record(result: ReviewedResult, request: VerdictRequest, at: datetime) -> ReviewRecord:
    """Return the review to be added.

    Raises WrongCorrection.
    """
    document = request.document or VerdictDocument("", "")
    made, evidence, agreement = document.changes, document.sop_uid, document.agreement
    if request.state is ReviewState.CORRECTED and request.document is None:
        correction = result.correction
        made = changes(result.correctables, request.values, correction.changes if correction else ())
        if not made and not result.can_confirm:
            raise WrongCorrection("the correction changes no value; to agree with the model, accept the result")
        if correction:  # to confirm a correction keeps what it rests on
            evidence, agreement = correction.evidence, correction.agreement
    return ReviewRecord(
        job_key=result.job.key,
        state=request.state,
        by=request.by.strip(),
        organization=request.organization.strip(),
        reason=request.reason.strip() if request.state is ReviewState.REJECTED else "",
        comment=request.comment.strip(),
        at=at,
        changes=made,
        source=document.source,
        evidence=evidence,
        agreement=agreement,
    )
