"""A verdict: what may be said about a result, and the form that says it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Final, Literal, Self

from fastapi import APIRouter, Form, HTTPException
from fastapi.responses import RedirectResponse, Response
from pydantic import AwareDatetime, ConfigDict, Field, model_validator
from starlette.background import BackgroundTask

from orchestrator.domain.correction import Correctable, WrongCorrection, changes, correctables
from orchestrator.domain.errors import ForbiddenTransition, UnknownRecord
from orchestrator.domain.job import JobState
from orchestrator.domain.records import JobRecord, ReviewRecord
from orchestrator.domain.review import REVIEW_MOVES, VERDICTS, RejectReason, ReviewState
from orchestrator.web.addresses import Comment, Key
from orchestrator.web.reading.current_result import Judged, judged
from orchestrator.web.reading.reviewer import Reviewer, remember
from orchestrator.web.security.permissions import Permission, needs
from orchestrator.web.site import Site, SiteOf
from orchestrator.web.views import ViewOf

router = APIRouter(dependencies=[needs(Permission.REVIEW)])

CORRECTED_AT_MOST: Final = 400
"""Values in the form, so that it stays within the size that a request may have; no model here states so many."""
NOTHING_TO_JUDGE: Final = frozenset({JobState.SUPERSEDED, JobState.FAILED})
Typed = Annotated[str, Field(max_length=64)]


class VerdictForm(Reviewer):
    """The form's fields.

    seen, seen_at: state and time of the review that its author saw. at, after: the values that may be corrected and,
    in the same order, what was typed for each; empty where nothing was.
    """

    model_config = ConfigDict(extra="forbid")

    seen: ReviewState
    seen_at: AwareDatetime | None = None
    verdict: Literal[ReviewState.ACCEPTED, ReviewState.REJECTED, ReviewState.CORRECTED]
    reason: RejectReason | Literal[""] = ""
    comment: Comment = ""
    at: Annotated[list[Typed], Field(max_length=CORRECTED_AT_MOST, default_factory=list)]
    after: Annotated[list[Typed], Field(max_length=CORRECTED_AT_MOST, default_factory=list)]

    @model_validator(mode="after")
    def _rejected_for_a_reason(self) -> Self:
        if self.verdict is ReviewState.REJECTED and not self.reason:
            raise ValueError("Please choose why the result is rejected.")
        return self

    @model_validator(mode="after")
    def _other_values_are_a_correction(self) -> Self:
        if len(self.at) != len(self.after):
            raise ValueError("Please load the page again.")
        if self.verdict is not ReviewState.CORRECTED and any(text.strip() for text in self.after):
            raise ValueError("You typed other values: please keep them as a correction, or empty the fields.")
        return self

    @model_validator(mode="after")
    def _settled_with_a_comment(self) -> Self:
        if self.seen is ReviewState.DISAGREED and not self.comment:
            raise ValueError("Please say in the comment how the readers' difference was settled.")
        return self


def result_of(site: Site, key: str) -> tuple[JobRecord, ReviewRecord]:
    """Return the job and its newest verdict.

    Raises UnknownRecord where there is no such job or it has no result.
    """
    job = site.ledger.jobs.get(key)
    review = site.ledger.reviews.newest(job.key)
    if review is None:
        raise UnknownRecord(f"job {job.key[:12]} has no result to show")
    return job, review


def allowed(job: JobRecord, said: Judged) -> frozenset[ReviewState]:
    """Return the verdicts that this page takes now; none on a superseded or cancelled result."""
    if job.state in NOTHING_TO_JUDGE:
        return frozenset()
    given = REVIEW_MOVES[said.review.state] & VERDICTS
    return given if correctable(job) or said.unconfirmed else given - {ReviewState.CORRECTED}


def correctable(job: JobRecord) -> tuple[Correctable, ...]:
    """Return the values of a result that a person may correct."""
    return correctables(job.findings, job.measurements)


@router.post("/results/{key}/verdict")
def give(site: SiteOf, view: ViewOf, key: Key, form: Annotated[VerdictForm, Form()]) -> Response:
    """Keep the verdict and return to the result; 409 and nothing kept where somebody was faster."""
    job, before = result_of(site, key)
    try:
        after = _keep(site, job, before, form)
    except WrongCorrection as refused:
        raise HTTPException(422, f"{refused}. Nothing was kept.") from refused
    except ForbiddenTransition as refused:
        newest = site.ledger.reviews.newest(job.key)
        return site.page("conflict.html", status=409, job=job, review=newest, view=view, form=form, text=str(refused))
    # told after the answer: a fault of an observer must not look like a verdict that was not kept
    told = BackgroundTask(site.on_review, before, after)
    answer = RedirectResponse(f"/results/{job.key}{view.query(page=view.page)}", 303, background=told)
    remember(answer, form)
    return answer


def _keep(site: Site, job: JobRecord, before: ReviewRecord, form: VerdictForm) -> ReviewRecord:
    if job.state in NOTHING_TO_JUDGE:
        what = "superseded" if job.state is JobState.SUPERSEDED else "cancelled"
        raise ForbiddenTransition(f"the result was {what} and takes no verdict")
    record = ReviewRecord(
        job_key=job.key,
        state=form.verdict,
        by=form.by,
        organization=form.organization,
        reason=form.reason if form.verdict is ReviewState.REJECTED else "",
        comment=form.comment,
        at=datetime.now(UTC),
    )
    if form.verdict is ReviewState.CORRECTED:
        record = _corrected(job, judged(site, job, before), record, form)
    return site.ledger.reviews.add(
        record, seen=form.seen, seen_at=form.seen_at, second_reader=site.reading.second_reader
    )


def _corrected(job: JobRecord, said: Judged, record: ReviewRecord, form: VerdictForm) -> ReviewRecord:
    """Return the verdict with the changes that its author made over those of the correction that they saw.

    A correction out of an archive is confirmed by keeping it: then its evidence stands with the new verdict too.
    Raises WrongCorrection.
    """
    seen = said.correction or record
    made = changes(correctable(job), zip(form.at, form.after, strict=True), seen.changes)
    if not made and not said.unconfirmed:
        raise WrongCorrection("all values are the model's; to agree with it, accept the result")
    return replace(record, changes=made, evidence=seen.evidence, agreement=seen.agreement)
