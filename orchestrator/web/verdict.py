"""A verdict: what may be said about a result, and the form that says it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse, Response
from pydantic import ConfigDict, model_validator
from starlette.background import BackgroundTask

from orchestrator.domain.errors import ForbiddenTransition, UnknownRecord
from orchestrator.domain.job import JobState
from orchestrator.domain.records import JobRecord, ReviewRecord
from orchestrator.domain.review import REVIEW_MOVES, RejectReason, ReviewState
from orchestrator.web.addresses import Comment, Key
from orchestrator.web.permissions import Permission, needs
from orchestrator.web.reviewer import Reviewer, remember
from orchestrator.web.site import Site, SiteOf

router = APIRouter(dependencies=[needs(Permission.REVIEW)])

GIVEN_HERE = frozenset({ReviewState.ACCEPTED, ReviewState.REJECTED})


class VerdictForm(Reviewer):
    """The form's fields; ``seen`` is the state that its author saw."""

    model_config = ConfigDict(extra="forbid")

    seen: ReviewState
    verdict: Literal[ReviewState.ACCEPTED, ReviewState.REJECTED]
    reason: RejectReason | Literal[""] = ""
    comment: Comment = ""

    @model_validator(mode="after")
    def _rejected_for_a_reason(self) -> Self:
        if self.verdict is ReviewState.REJECTED and not self.reason:
            raise ValueError("Please choose why the result is rejected.")
        return self


def result_of(site: Site, key: str) -> tuple[JobRecord, ReviewRecord]:
    """Return the job and its newest verdict.

    Raises UnknownRecord where there is no such job or it has no result.
    """
    job = site.ledger.job(key)
    review = site.ledger.review(job.key)
    if review is None:
        raise UnknownRecord(f"job {job.key[:12]} has no result to show")
    return job, review


def allowed(job: JobRecord, review: ReviewRecord) -> frozenset[ReviewState]:
    """Return the verdicts that this page takes now; none on a superseded result."""
    if job.state is JobState.SUPERSEDED:
        return frozenset()
    return REVIEW_MOVES[review.state] & GIVEN_HERE


@router.post("/results/{key}/verdict")
def give(site: SiteOf, key: Key, form: Annotated[VerdictForm, Form()]) -> Response:
    """Keep the verdict and return to the result; 409 and nothing kept where somebody was faster."""
    job, before = result_of(site, key)
    try:
        after = _keep(site, job, form)
    except ForbiddenTransition as refused:
        newest = site.ledger.review(job.key)
        return site.page("conflict.html", status=409, job=job, review=newest, form=form, text=str(refused))
    # told after the answer: a fault of an observer must not look like a verdict that was not kept
    told = BackgroundTask(site.on_review, before, after)
    answer = RedirectResponse(f"/results/{job.key}", 303, background=told)
    remember(answer, form)
    return answer


def _keep(site: Site, job: JobRecord, form: VerdictForm) -> ReviewRecord:
    if job.state is JobState.SUPERSEDED:
        raise ForbiddenTransition("the result was superseded and takes no verdict")
    record = ReviewRecord(
        job_key=job.key,
        state=form.verdict,
        by=form.by,
        organization=form.organization,
        reason=form.reason if form.verdict is ReviewState.REJECTED else "",
        comment=form.comment,
        at=datetime.now(UTC),
    )
    return site.ledger.add_review(record, seen=form.seen)
