"""Delivery without threads: real attempts on a real ledger, one after the other, by a clock that a test moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

from orchestrator.dicom import Grid, WriteOptions, read_instance
from orchestrator.domain.job import JobState, Priority
from orchestrator.domain.records import SeriesState
from orchestrator.domain.result import Result
from orchestrator.ledger import Ledger
from orchestrator.pipeline.delivery.attempt import Delivery
from orchestrator.pipeline.delivery.destination import Destination
from orchestrator.pipeline.folders import Folders
from tests.data.records import NOON, add_jobs, job_record, key_of, series_record
from tests.parts.dicom.written import one_segment, write_result

SECOND = timedelta(seconds=1)


@dataclass
class Post:
    """Stands where the threads of the destinations are."""

    ledger: Ledger
    outbox: Path
    destinations: Callable[[], dict[str, Destination]]
    now: datetime = NOON

    @property
    def delivery(self) -> Delivery:
        """Delivery as after a restart: it remembers nothing."""
        observers = SimpleNamespace(result_delivered=lambda *_: None)
        folders, destinations = Folders(self.outbox, self.outbox), self.destinations()
        return Delivery(self.ledger, destinations, folders=folders, observers=observers, clock=lambda: self.now)  # type: ignore[arg-type]

    def run(self, lasting: timedelta = timedelta(), every: timedelta = SECOND) -> None:
        """Send what is due, one attempt at a time, while the time passes."""
        until = self.now + lasting
        while True:
            while self._send_next():
                pass
            if self.now >= until:
                return
            self.now += every

    def _send_next(self) -> bool:
        """Make one attempt for each destination that has a due delivery; return whether there was any."""
        delivery, known, sent = self.delivery, self.destinations(), False
        for name in sorted(self.ledger.deliveries.due_destinations(self.now)):
            if name in known:
                sent |= delivery.send_next(name)
            else:
                delivery.park_unknown(name)
        return sent


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
