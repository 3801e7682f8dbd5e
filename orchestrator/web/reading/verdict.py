"""The form that gives a verdict; ``pipeline.review`` holds the rules of verdicts."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from fastapi import APIRouter, Form, HTTPException
from fastapi.responses import RedirectResponse, Response
from pydantic import AwareDatetime, ConfigDict, Field, model_validator
from starlette.background import BackgroundTasks

from orchestrator.domain.errors import ForbiddenTransition, UnknownRecord, UserError
from orchestrator.domain.review import RejectReason, ReviewState
from orchestrator.pipeline.review.verdict import VerdictRequest, give_verdict
from orchestrator.web.addresses import Comment, Key
from orchestrator.web.reading.reviewer import Reviewer, remember
from orchestrator.web.security.permissions import Permission, needs
from orchestrator.web.site import SiteOf
from orchestrator.web.views import ViewOf
from orchestrator.web.wording import sentence

router = APIRouter(dependencies=[needs(Permission.REVIEW)])

CORRECTED_AT_MOST: Final = 400
"""Values in the form, so that it stays within the size of a request; no model here states so many."""
Typed = Annotated[str, Field(max_length=64)]


class VerdictForm(Reviewer):
    """The form's fields.

    seen, seen_at: state and time of the review that the reviewer saw. at, after: the values that may be corrected and,
    in the same order, what the reviewer typed for each; empty where nothing was typed.
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
    def _each_value_has_its_place(self) -> Self:
        if len(self.at) != len(self.after):
            raise ValueError("Please load the page again.")
        return self

    def request(self, job_key: str) -> VerdictRequest:
        """Return the verdict that the form gives on the result of a job."""
        return VerdictRequest(
            job_key=job_key,
            state=self.verdict,
            seen=self.seen,
            seen_at=self.seen_at,
            by=self.by,
            organization=self.organization,
            reason=self.reason,
            comment=self.comment,
            values=tuple(zip(self.at, self.after, strict=True)),
        )


@router.post("/results/{key}/verdict")
def give(site: SiteOf, view: ViewOf, key: Key, form: Annotated[VerdictForm, Form()]) -> Response:
    """Give the verdict and return to the result; 409 where somebody was faster, 422 where something is missing."""
    job, after_answer = site.ledger.jobs.get(key), BackgroundTasks()
    try:
        give_verdict(
            site.ledger,
            form.request(job.key),
            second_reader=site.reading.second_reader,
            # observers may take their time: they are called after the answer
            review_changed=lambda *change: after_answer.add_task(site.review_changed, *change),
        )
    except ForbiddenTransition as refusal:
        newest = site.ledger.reviews.newest(job.key)
        return site.page("conflict.html", status=409, job=job, review=newest, view=view, form=form, text=str(refusal))
    except UnknownRecord:
        raise
    except UserError as refusal:
        raise HTTPException(422, f"{sentence(str(refusal))} Nothing was saved.") from refusal
    answer = RedirectResponse(f"/results/{job.key}{view.query(page=view.page)}", 303, background=after_answer)
    remember(answer, form)
    return answer
