"""What the people who run the host read in its log of results and verdicts; UIDs only, no patient data."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from orchestrator.domain.records import JobRecord, ObjectRecord, ReviewRecord
from orchestrator.sdk import hookimpl

log = logging.getLogger(__name__)


@hookimpl
def result_delivered(job: JobRecord, objects: Sequence[ObjectRecord]) -> None:
    """Log that an archive confirmed a result."""
    kinds = ", ".join(sorted(item.kind for item in objects))
    log.info("job %s: %s on series %s is delivered (%s)", job.key[:12], job.model, job.series_uid, kinds)


@hookimpl
def review_changed(job: JobRecord, before: ReviewRecord, after: ReviewRecord) -> None:
    """Log a verdict."""
    told = (job.key[:12], job.model, job.series_uid, before.state, after.state)
    log.info("job %s: %s on series %s was %s and is %s", *told)
