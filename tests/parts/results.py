"""Real results in a ledger, as the flow leaves them, for tests of what happens to them afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread

from orchestrator.dicom import Grid, WriteOptions, gather, plan, read_instance, write_objects
from orchestrator.domain.job import JobState
from orchestrator.domain.model import Accepts, Empty, ModelDescription
from orchestrator.domain.records import JobRecord, SeriesState
from orchestrator.domain.result import Result
from tests.data.records import job_record, key_of, series_record
from tests.parts.archive.post import Post
from tests.parts.dicom.written import one_segment

USUAL = WriteOptions()


def add_result(
    post: Post,
    sources: Sequence[Path],
    name: str,
    *,
    version: str = "1.0",
    revision: int = 1,
    forms: Sequence[WriteOptions] = (USUAL,),
    says: Callable[[Grid], Result] = one_segment,
    to: Iterable[str] | None = None,
    **job: Any,
) -> JobRecord:
    """Return a job of the model ``finder`` with its written result, on its way to every destination or those named."""
    images = [read_instance(path) for path in sources]
    ids = {"series_uid": images[0].series_uid, "study_uid": images[0].study_uid}
    post.ledger.series.put(series_record(state=SeriesState.RELEASED, revision=revision, **ids), images)
    post.now += timedelta(minutes=1)
    told = {"model": "finder", "model_version": version, "revision": revision, "created_at": post.now, **ids, **job}
    post.ledger.jobs.add(job_record(name, **told))
    key = key_of(name)
    post.ledger.jobs.move(key, JobState.RUNNING)
    write_result(post, sources, key, forms, says)
    post.ledger.jobs.move(key, JobState.DELIVERING)
    post.ledger.reviews.open(key, post.now)
    for destination in post.destinations() if to is None else to:
        post.ledger.deliveries.add(key, destination)
        post.ledger.deliveries.recall(destination, post.now)
    return post.ledger.jobs.get(key)


def write_result(
    post: Post,
    sources: Sequence[Path],
    key: str,
    forms: Sequence[WriteOptions] = (USUAL,),
    says: Callable[[Grid], Result] = one_segment,
) -> None:
    """Write the job's result as the flow does: the report names the one that it follows."""
    job = post.ledger.jobs.get(key)
    model = ModelDescription(
        name=job.model,
        version=job.model_version,
        digest=job.model_digest,
        empty=Empty.NEGATIVE,
        qualification="PRODUCT",
    )
    found = [(grid, says(grid)) for grid in plan(gather([read_instance(path) for path in sources]), Accepts())]
    earlier = post.ledger.withdrawals.settle_predecessors(key)
    folder = post.outbox / key
    written = [
        write_objects(found, job=job, model=model, folder=folder, options=each, predecessor=earlier.get(each.form))
        for each in forms
    ]
    post.ledger.objects.put(key, [item for objects in written for item in objects], replace=True)


def notes_in(folder: Path) -> list[Dataset]:
    """Return the rejection notes that lie in an archive's folder, those of superseded results first."""
    found = [dcmread(path, force=True) for path in sorted(folder.rglob("*")) if path.is_file()]
    notes = [item for item in found if item.get("Modality") == "KO"]
    return sorted(notes, key=lambda note: str(note.ConceptNameCodeSequence[0].CodeValue))


def named(note: Dataset) -> set[str]:
    """Return the SOP Instance UIDs that a note rejects."""
    items = [item for item in note.ContentSequence if "ReferencedSOPSequence" in item]
    return {str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID) for item in items}


def title(note: Dataset) -> str:
    """Return the code of a note's title."""
    return str(note.ConceptNameCodeSequence[0].CodeValue)
