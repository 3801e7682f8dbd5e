"""Built-in plugin that logs deliveries and verdicts. UIDs only, no patient data."""

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
    log.info("job %s: result of %s on series %s delivered (%s)", job.key[:12], job.model, job.series_uid, kinds)


@hookimpl
def review_changed(job: JobRecord, before: ReviewRecord, after: ReviewRecord) -> None:
    """Log a verdict."""
    log.info(
        "job %s: verdict on %s for series %s changed from %s to %s",
        *(job.key[:12], job.model, job.series_uid, before.state, after.state),
    )
