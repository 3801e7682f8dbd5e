"""Verdicts as the command line gives them: the settings name ledger, second reader and observers."""

from __future__ import annotations

from contextlib import closing
from functools import partial

from orchestrator.app.installation.connections import load_plugins, start_workers
from orchestrator.app.installation.ledger import ledger_of
from orchestrator.config import Settings
from orchestrator.database import database_faults
from orchestrator.domain.reading import SecondReader
from orchestrator.domain.records import JobRecord, ReviewRecord
from orchestrator.pipeline.review import verdict
from orchestrator.pipeline.review.verdict import ReviewedResult, VerdictRequest


def reviewed_result(settings: Settings, key: str) -> ReviewedResult:
    """Return the result of a job with its reviews.

    Raises UnknownRecord where there is no such job, or it has no result.
    """
    with database_faults(), closing(ledger_of(settings)) as ledger:
        return verdict.reviewed_result(ledger, key)


def give_verdict(settings: Settings, request: VerdictRequest) -> ReviewRecord:
    """Return the result's newest review after the verdict; plugins are notified of it.

    Raises what ``pipeline.review.give_verdict`` raises.
    """
    with database_faults(), closing(ledger_of(settings)) as ledger:
        return verdict.give_verdict(
            ledger,
            request,
            second_reader=SecondReader(settings.review.second_reader),
            review_changed=partial(_notify_plugins, settings),
        )


def _notify_plugins(settings: Settings, job: JobRecord, before: ReviewRecord, after: ReviewRecord) -> None:
    with closing(start_workers(settings)) as workers:
        load_plugins(workers).review_changed(job, before, after)
