"""Delivery without an engine: the real flow on a real ledger, run in the queue's order by a clock that a test moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from orchestrator.dicom import Grid, WriteOptions, read_instance
from orchestrator.domain.job import JobState, Priority
from orchestrator.domain.records import SeriesState
from orchestrator.domain.result import Result
from orchestrator.ledger import Ledger
from orchestrator.pipeline.delivery import Delivery
from orchestrator.pipeline.destination import Destination
from orchestrator.pipeline.folders import Folders
from tests.data.records import NOON, add_jobs, job_record, key_of, series_record
from tests.parts.dicom.written import one_segment, write_result

SECOND = timedelta(seconds=1)


@dataclass
class Post:
    """Stands where the engine does: flows by their queue, first by priority, then as they came; each key once."""

    ledger: Ledger
    outbox: Path
    destinations: Callable[[], dict[str, Destination]]
    now: datetime = NOON
    queued: dict[str, tuple[int, tuple[Any, ...]]] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)

    @property
    def delivery(self) -> Delivery:
        """The flow as after a restart: it remembers nothing."""
        observers = SimpleNamespace(result_delivered=lambda *_: None)
        folders, destinations = Folders(self.outbox, self.outbox), self.destinations()
        return Delivery(self.ledger, destinations, folders=folders, observers=observers, clock=lambda: self.now)  # type: ignore[arg-type]

    def run(self, lasting: timedelta = timedelta(), every: timedelta = SECOND) -> None:
        """Queue what is due and run it, one attempt at a time, while the time passes."""
        until = self.now + lasting
        while True:
            self.delivery.queue_due(self)  # type: ignore[arg-type]
            if self._run_first():
                continue
            if self.now >= until:
                return
            self.now += every

    def enqueue(self, flow: str, key: str, *args: object, queue: str, priority: Priority) -> bool:
        """Return True where the flow was queued, False where it was before: once for ever."""
        if key in self.seen:
            return False
        self.seen.add(key)
        self.queued[key] = (priority.rank, args)
        return True

    def _run_first(self) -> bool:
        if not self.queued:
            return False
        key = min(self.queued, key=lambda each: self.queued[each][0])
        _, args = self.queued.pop(key)
        self.delivery(*args)
        return True


def finish(
    post: Post,
    sources: Sequence[Path],
    name: str,
    priority: Priority = Priority.ROUTINE,
    *forms: WriteOptions,
    result_of: Callable[[Grid], Result] = one_segment,
) -> None:
    """Put a finished job with its written result into the ledger, queued for every destination."""
    images = [read_instance(path) for path in sources]
    ids = {"series_uid": images[0].series_uid, "study_uid": images[0].study_uid}
    post.ledger.series.put(series_record(state=SeriesState.RELEASED, **ids), images)
    add_jobs(post.ledger, job_record(name, model=name, priority=priority, created_at=post.now, **ids))
    key = key_of(name)
    for state in (JobState.RUNNING, JobState.DELIVERING):
        post.ledger.jobs.move(key, state)
    outbox = post.outbox / key
    written = [write_result(sources, result_of, outbox, key=key, options=form).objects for form in forms or (None,)]
    post.ledger.objects.put(key, [item for objects in written for item in objects])
    for destination in post.destinations():
        post.ledger.deliveries.add(key, destination)
        post.ledger.deliveries.recall(destination, post.now)
    post.now += timedelta(minutes=1)
