"""Turns files into series: indexes what arrives, and admits and releases each series when its time has come.

The spool is the truth about what was received. Notifications only save time: the engine compares the spool with the
ledger, so a lost notification or a kill loses no file.
"""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from orchestrator.archive import RECEIVER, Announced, Arrival, Closed, Notification, SpooledFile
from orchestrator.dicom import expected_count, gap_free, read_instance, states, unreadable_instance
from orchestrator.domain.clock import utc_now
from orchestrator.domain.errors import UnreadableFile
from orchestrator.domain.images import LeftOut
from orchestrator.domain.records import SeriesRecord, SeriesState
from orchestrator.domain.series import HeaderValue, Instance
from orchestrator.engine import describe, frames
from orchestrator.ledger import Ledger
from orchestrator.pipeline.arrival.completion import Checks, Due, Step, due_steps
from orchestrator.pipeline.arrival.origins import Origins
from orchestrator.pipeline.arrival.pending_series import PendingSeries
from orchestrator.pipeline.arrival.quarantine import Quarantine, sender_of
from orchestrator.pipeline.arrival.routing import Routing
from orchestrator.pipeline.jobs.source_files import read_source
from orchestrator.pipeline.review.documents import ReviewDocument, ReviewDocuments

log = logging.getLogger(__name__)

RETRY_SECONDS = 60.0
"""How long a series waits after a step of it failed."""
SPOOLED_NAME = re.compile(r"[0-9.]+-[0-9a-f]{12}")
"""The name of a file in the spool: SOP Instance UID and digest."""
DECISION_SECONDS = 2.0
"""How often the intake asks whether a person has taken images out of the quarantine."""
_CHECKS = Checks(gap_free=gap_free, expected_count=expected_count)


class SpooledFiles(Protocol):
    """The part of the spool that the intake reads."""

    def series_files(self, study_uid: str, series_uid: str) -> Sequence[SpooledFile]:
        """Return the instances of one series, each with its newest content."""

    def arrival(self, file: SpooledFile) -> Arrival:
        """Return how the file came.

        Raises UnreadableFile.
        """

    def recorded_source(self, path: Path) -> str:
        """Return the archive that a file was fetched from although its header does not say so, empty where none."""


class Intake:
    """Follows what arrives, and admits and releases series. Not thread-safe: one thread uses it.

    quiet_seconds: returns the quiet period for files that came like this one.
    may_replace: AE titles and sources whose images may replace those of another sender.
    documents: the queue of what may hold a verdict; None where the settings trust no source with verdicts.
    clock: seconds since 1970.
    """

    def __init__(
        self,
        ledger: Ledger,
        routing: Routing,
        spool: SpooledFiles,
        *,
        quiet_seconds: Callable[[Arrival], float],
        may_replace: Collection[str] = (),
        documents: ReviewDocuments | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._ledger = ledger
        self._routing = routing
        self._spool = spool
        self._quiet_seconds = quiet_seconds
        self._documents = documents
        self._clock = clock
        self._pending: dict[str, PendingSeries] = {}
        self._unreadable: set[Path] = set()  # of no series: only a header says of which
        self._decisions_at = 0.0
        self._origins = Origins(ledger, spool)
        ordered_by = self._origins.ordered_by
        self._quarantine = Quarantine(ledger, may_replace=may_replace, ordered_by=ordered_by, now=utc_now)

    def take(self, notification: Notification) -> None:
        """Process one notification; a file that cannot be read is recorded in the audit trail and stops nothing."""
        match notification:
            case Arrival():
                self._add_file(notification)
            case Closed():
                for series in self._pending.values():
                    series.close(notification)
            case Announced():
                if notification.series_uid in self._pending:
                    self._pending[notification.series_uid].announce(notification)

    def recover(self, files: Iterable[SpooledFile]) -> int:
        """Add those files of a scan that neither the ledger nor this process knows; return how many."""
        by_series: dict[str, list[SpooledFile]] = defaultdict(list)
        for file in files:
            by_series[file.series_uid].append(file)
        return sum(self._add_unknown(some) for uid, some in by_series.items() if not self._is_settled(uid, some))

    def advance(self) -> None:
        """Take the steps that are due now.

        A notification may be lost, so each step compares the spool first. Where it holds further files, these are
        added, and the series is judged again the next time.
        """
        now = self._clock()
        if now >= self._decisions_at:
            self._decisions_at = now + DECISION_SECONDS
            self._take_up()
        due = {series.series_uid: due_steps(series, now, _CHECKS) for series in self._pending.values()}
        due = {series_uid: steps for series_uid, steps in due.items() if steps}
        incomplete = self._incomplete(due)
        for series_uid, steps in due.items():
            series = self._pending[series_uid]
            if series_uid not in incomplete and series.retry_at <= now:
                for step in steps:
                    if not self._try_step(series, step):
                        break

    def _take_up(self) -> None:
        """Add the images that a person took out of the quarantine."""
        for image in self._ledger.quarantine.to_take_up():
            arrival = Arrival(
                path=image.path,
                study_uid=image.study_uid,
                series_uid=image.series_uid,
                sop_uid=image.sop_uid,
                calling=image.sender,
            )
            self._add_file(arrival)
            self._ledger.quarantine.take_up(image)

    def _add_file(self, arrival: Arrival, newest: Arrival | None = None) -> None:
        try:
            self._add(read_instance(arrival.path), arrival, newest or arrival)
        except UnreadableFile as fault:
            self._add_unreadable(arrival, newest or arrival, fault)

    def _add_unreadable(self, arrival: Arrival, newest: Arrival, fault: UnreadableFile) -> None:
        """Record a file that cannot be read, and add it to its series, which leaves it out, where that is known."""
        self._record_unreadable(arrival.path, fault)
        instance = unreadable_instance(
            arrival.path,
            study_uid=arrival.study_uid,
            series_uid=arrival.series_uid,
            sop_uid=arrival.sop_uid,
            sop_class=arrival.sop_class,
        )
        if instance is not None:
            self._add(instance, arrival, newest)

    def _add(self, instance: Instance, arrival: Arrival, newest: Arrival) -> None:
        instance = replace(instance, sender=sender_of(arrival))
        series = self._pending_series(instance.series_uid, arrival)
        if archive := self._origins.sent_again_by(series, newest):
            newest = replace(newest, source=archive)
        if self._documents is not None and states(instance):
            series.add_document(ReviewDocument(instance, arrival))
        elif self._quarantine.keeps(series, instance, arrival):
            series.paths.add(instance.path)
            return
        if series.add(instance, newest, now=self._clock(), quiet_seconds=self._quiet_seconds(newest)):
            self._reopen(instance.series_uid)

    def _reopen(self, series_uid: str) -> None:
        self._ledger.events.record("series-reopened", series_uid, "an image came after the models had started")
        self._supersede(series_uid)

    def _pending_series(self, series_uid: str, arrival: Arrival) -> PendingSeries:
        """Return the record of a series; a new one holds its earlier revision, so a late image makes a whole series."""
        if series_uid not in self._pending:
            earlier = self._earlier_instances(series_uid)
            series = self._pending[series_uid] = PendingSeries(series_uid, arrival)
            series.resume(earlier)
        return self._pending[series_uid]

    def _earlier_instances(self, series_uid: str) -> list[Instance]:
        newest = self._ledger.series.find(series_uid)
        if newest is None:
            return []
        instances = []
        for row in self._ledger.series.instances(series_uid, newest.revision):
            # retention may have deleted the file, and a fetch of an old series brings its files one by one
            if row.path.exists():
                try:
                    instances.append(read_source(row, newest))
                except UnreadableFile as fault:
                    self._record_unreadable(row.path, fault)
        return instances

    def _add_unknown(self, files: Iterable[SpooledFile], newest: Arrival | None = None) -> int:
        """Add those files of one series that this process does not know; return how many.

        newest: how the newest file of the series came, if known; the order of files found in the spool is not known.
        """
        count = 0
        for file in sorted(files, key=lambda file: file.path):
            series = self._pending.get(file.series_uid)
            if series is None or file.path not in series.paths:
                count += 1
                self._add_spooled(file, newest)
            count += self._add_older(file)
        return count

    def _add_spooled(self, file: SpooledFile, newest: Arrival | None) -> None:
        place = Arrival(path=file.path, study_uid=file.study_uid, series_uid=file.series_uid, sop_uid=file.sop_uid)
        self._add_contents_before(file, place)
        try:
            self._add_file(self._spool.arrival(file), newest)
        except UnreadableFile as fault:  # its meta information; then only its place in the spool is known
            self._add_unreadable(place, newest or place, fault)

    def _add_contents_before(self, file: SpooledFile, place: Arrival) -> None:
        """Add the older contents of an instance that is not known yet: of two senders the first one counts."""
        if not file.older:
            return
        series = self._pending_series(file.series_uid, place)
        if file.sop_uid not in series.instances:
            for path in file.older:
                with suppress(UnreadableFile):
                    if self._quarantine.holds(read_instance(path)):
                        series.paths.add(path)
                    else:
                        self._add_file(self._spool.arrival(replace(file, path=path, older=())))
        if not series.instances:
            del self._pending[file.series_uid]

    def _add_older(self, file: SpooledFile) -> int:
        """Compare the older contents of an instance with its newest; return how many made a change."""
        series = self._pending.get(file.series_uid)
        count = 0
        for path in file.older:
            if series is None or path in series.paths or file.sop_uid not in series.instances:
                continue
            before = series.instances[file.sop_uid]
            series.paths.add(path)
            with suppress(UnreadableFile):  # the newest content counts
                older = read_instance(path)
                if not self._quarantine.holds(older) and series.compare(older):
                    self._reopen(file.series_uid)
            count += series.instances[file.sop_uid] is not before
        return count

    def _incomplete(self, series_uids: Collection[str]) -> set[str]:
        """Return the series of which their archive is known to hold more: half a fetch is no series.

        An archive may be away for longer than any quiet period.
        """
        return {
            fetch.series_uid
            for fetch in (self._ledger.fetches.pending(series_uids) if series_uids else ())
            if self._origins.holds_more(fetch, self._pending[fetch.series_uid])
        }

    def _try_step(self, series: PendingSeries, due: Due) -> bool:
        """Return whether the step was taken; a series whose step fails is tried again later and stops no other."""
        try:
            done = self._take_step(series, due)
        except Exception as error:  # noqa: BLE001  # a plugin that raises, a full disk, a fault of the host
            self._postpone(series, error)
            return False
        series.retry_at = 0.0
        return done

    def _postpone(self, series: PendingSeries, error: Exception) -> None:
        uid, reason = series.series_uid, describe(error)
        log.error("series %s failed (%s); retrying in %g s\n%s", uid, reason, RETRY_SECONDS, frames(error))
        if not series.retry_at:
            with suppress(Exception):  # the ledger itself may be the fault
                self._ledger.events.record("series-waits", uid, reason)
        series.retry_at = self._clock() + RETRY_SECONDS

    def _take_step(self, series: PendingSeries, due: Due) -> bool:
        study_uid = next(iter(series.instances.values())).study_uid
        files = self._spool.series_files(study_uid, series.series_uid)
        if self._add_unknown([file for file in files if file.path not in self._unreadable], series.arrival):
            return False  # the series has changed
        if due.step is Step.RELEASE and not self._are_documents_processed(series):
            return False
        # what was admitted when the models started is the same now, or it would have been reopened
        if series.revision is None:
            series.revision = self._admit(series, due.reason)
        series.started = True
        if due.step is Step.RELEASE:
            self._routing.release(series.series_uid, series.revision.revision, due.reason)
            del self._pending[series.series_uid]
        return True

    def _are_documents_processed(self, series: PendingSeries) -> bool:
        """Queue the documents of the series and return whether all were processed.

        Only then it is released, so that after a kill they are processed again. Documents of an earlier revision, or
        of an earlier process, were processed then.
        """
        if self._documents is None:
            return True
        current = {instance.path for instance in series.instances.values()}
        documents = [document for document in series.documents.values() if document.instance.path in current]
        for document in documents:
            if document.arrival.source == RECEIVER and (source := self._spool.recorded_source(document.arrival.path)):
                document.arrival = replace(document.arrival, source=source)
            self._documents.put(document)
        if not all(self._documents.is_processed(document) for document in documents):
            return False
        series.documents.clear()
        return True

    def _admit(self, series: PendingSeries, reason: str) -> SeriesRecord:
        arrival, source = series.arrival, self._origins.source(series)
        facts: dict[str, tuple[HeaderValue, ...]] = {
            name: (value,)
            for name, value in (
                ("Source", source),
                ("CallingAETitle", arrival.calling),
                ("CalledAETitle", arrival.called),
            )
            if value
        }
        fetch = self._ledger.fetches.of_series(source, series.series_uid)
        record = self._routing.admit(
            tuple(series.instances.values()),
            source=source,
            host_facts=facts,
            reason=reason,
            only_rule=fetch.rule if fetch else "",
        )
        self._record_replaced(series, record)
        return record

    def _record_replaced(self, series: PendingSeries, record: SeriesRecord) -> None:
        """Record the images that came again with other content, so that no content is lost in silence."""
        uids = sorted(uid for uid in series.replaced if series.instances[uid].left_out is not LeftOut.SHARED_UID)
        series.replaced.clear()
        if uids:
            images = "1 image" if len(uids) == 1 else f"{len(uids)} images"
            text = f"{images} came again with other content; the newest content counts; first {uids[0]}"
            text = f"revision {record.revision}: {text}"
            self._ledger.events.record("images-replaced", series.series_uid, text)

    def _supersede(self, series_uid: str) -> None:
        newest = self._ledger.series.find(series_uid)
        if newest is not None and newest.state is not SeriesState.SUPERSEDED:
            self._routing.supersede(newest)

    def _is_settled(self, series_uid: str, files: Collection[SpooledFile]) -> bool:
        newest = self._ledger.series.find(series_uid)
        if newest is None or newest.state is not SeriesState.RELEASED:
            return False
        known = {row.path for row in self._ledger.series.instances(series_uid, newest.revision)}
        known |= self._ledger.quarantine.paths(series_uid)
        return known.issuperset(file.path for file in files)

    def _record_unreadable(self, path: Path, fault: UnreadableFile) -> None:
        """Record a broken file once: by its name in the spool, else by a digest of its path.

        The name of a file in a watched folder may hold a patient's name.
        """
        if path in self._unreadable:
            return
        self._unreadable.add(path)
        is_spooled = SPOOLED_NAME.fullmatch(path.stem)
        name = path.stem if is_spooled else f"file-{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
        reason = str(fault).replace(path.name, name)
        log.warning("cannot read a file that arrived: %s", reason)
        self._ledger.events.record("file-unreadable", name, reason)
