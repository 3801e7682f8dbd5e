"""Verdicts that a radiologist leaves in the archive: a verified SR, an edited SEG, a rejection note.

An object counts only where it came from a source that the settings trust with it, names an object of ours by
its SOP Instance UID, and is of the same patient and study. Whatever does not count leaves an event that says why.
To take one up twice, after a kill or a resend, changes nothing: a verdict is known by the object that it came from.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from orchestrator.dicom import (
    Changes,
    Statement,
    agreement_between,
    corrections,
    identity_of,
    read_statement,
)
from orchestrator.domain.errors import ArchiveRefused, ForbiddenTransition, NotComparable, UnreadableFile
from orchestrator.domain.reading import SecondReader
from orchestrator.domain.records import JobRecord, ObjectKind, ObjectRecord, ReviewRecord
from orchestrator.domain.review import CLOSED, ReviewState
from orchestrator.domain.series import Instance
from orchestrator.ledger import Ledger
from orchestrator.pipeline.parts import Destination

IGNORED, LATE, NO_AGREEMENT = "verdict-ignored", "verdict-late", "verdict-without-agreement"
Told = Callable[[JobRecord, ReviewRecord, ReviewRecord], None]
"""Takes the job, the verdict before and the new one."""


@dataclass(frozen=True, slots=True)
class TrustedSources:
    """Whose objects count: archives by their name in the settings, senders by their calling AE title."""

    archives: frozenset[str] = frozenset()
    senders: frozenset[str] = frozenset()

    def name(self, source: str, calling: str) -> str:
        """Return the archive or sender that an object came from, empty where it is none of these."""
        if source in self.archives:
            return source
        return calling if calling in self.senders else ""


_NO_JUDGEMENT = {
    ObjectKind.SR: "it is not verified",
    ObjectKind.KO: "its title rejects nothing",
}


class _Unsaid(Exception):
    """An object is no verdict on a result; the message says why, without patient data."""


class Verdicts:
    """Takes up what a radiologist left in the archive."""

    def __init__(
        self,
        ledger: Ledger,
        trusted: TrustedSources,
        *,
        destinations: Mapping[str, Destination],
        told: Told,
        clock: Callable[[], datetime],
        second_reader: SecondReader = SecondReader.NONE,
    ) -> None:
        """Take up nothing yet. destinations: asked whose study it is now, where the patient is not that of ours."""
        self._ledger = ledger
        self._trusted = trusted
        self._destinations = destinations
        self._told = told
        self._clock = clock
        self._second_reader = second_reader

    def take(self, instance: Instance, *, source: str, calling: str) -> None:
        """Keep the verdict that an SR, a SEG or a key object selection is, or an event that says why it is none.

        source: name of the archive that it came from; calling: AE title of its sender.
        Raises ArchiveUnavailable: it is to be taken again later.
        """
        trusted = self._trusted.name(source, calling)
        try:
            statement = read_statement(instance.path)
            about = self._ledger.objects.find(statement.predecessors | statement.references)
            if not about and not statement.judges:
                return  # a dose report, key images for a conference: nothing that anybody would miss
            self._check(statement, about, trusted)
        except (UnreadableFile, _Unsaid) as reason:
            self._tell(IGNORED, instance.series_uid, f"{instance.sop_uid} is no verdict: {reason}")
            return
        for key, ours in _by_job(about).items():
            try:
                self._judge(self._ledger.jobs.get(key), ours, _Evidence(statement, instance.path, trusted))
            except (UnreadableFile, _Unsaid) as reason:
                self._tell(IGNORED, key, f"{instance.sop_uid} is no verdict on this result: {reason}")

    def _check(self, statement: Statement, about: Sequence[ObjectRecord], trusted: str) -> None:
        """Raise _Unsaid where the object cannot be a verdict on any result of ours."""
        if self._ledger.objects.known([statement.sop_uid]):
            raise _Unsaid("this host wrote it")
        if not about:
            raise _Unsaid("it refers to no object of this host")
        if not trusted:
            raise _Unsaid("the settings do not trust the source that it came from with verdicts")
        if not statement.judges:
            raise _Unsaid(_NO_JUDGEMENT[statement.kind])
        if statement.kind is ObjectKind.SR and not statement.by:
            raise _Unsaid("it is verified and does not say by whom")

    def _judge(self, job: JobRecord, ours: Sequence[ObjectRecord], evidence: _Evidence) -> None:
        """Keep the verdict on one result, once.

        Raises _Unsaid, UnreadableFile, ArchiveUnavailable.
        """
        sop_uid, before = evidence.statement.sop_uid, self._ledger.reviews.newest(job.key)
        if any(review.evidence == sop_uid for review in self._ledger.reviews.of_job(job.key)):
            return
        if before is None:
            raise _Unsaid(f"the job is {job.state} and has no result to judge")
        self._check_identity(evidence.statement, ours)
        if before.state in CLOSED:
            self._tell(LATE, job.key, f"{sop_uid} from {evidence.source} came when the result was {before.state}")
            return
        if before.state is ReviewState.SECOND_READER and not evidence.statement.by:
            raise _Unsaid("a second reader is due, and it names nobody")
        self._keep(job, before, self._verdict(job, ours, evidence))

    def _check_identity(self, statement: Statement, ours: Sequence[ObjectRecord]) -> None:
        """Raise _Unsaid where the object is of another patient than the result, and than an archive says now."""
        if {item.study_uid for item in ours} != {statement.identity.study_uid}:
            raise _Unsaid("it is of another study")
        written = next((item.path for item in ours if item.path.exists()), None)
        differing = identity_of(written).differences(statement.identity) if written else ("patient",)
        if differing and not self._is_present_identity(statement):
            raise _Unsaid(f"its {', '.join(differing)} is not that of the result, nor what an archive says now")

    def _is_present_identity(self, statement: Statement) -> bool:
        """Return whether a destination holds the study as the object has it: the patient was renamed or merged."""
        for destination in self._destinations.values():
            if destination.ask:
                with suppress(ArchiveRefused):
                    held = destination.archive.identity(statement.identity.study_uid)
                    if held is not None and not statement.identity.differences(held):
                        return True
        return False

    def _verdict(self, job: JobRecord, ours: Sequence[ObjectRecord], evidence: _Evidence) -> ReviewRecord:
        """Return what the object says about the result.

        Raises _Unsaid, UnreadableFile.
        """
        statement = evidence.statement
        verdict = ReviewRecord(
            job_key=job.key,
            state=ReviewState.REJECTED,
            by=statement.by,
            organization=statement.organization,
            reason=statement.reason,
            at=self._clock(),
            source=evidence.source,
            evidence=statement.sop_uid,
        )
        named = [item for item in ours if item.kind is statement.kind]
        if statement.kind is ObjectKind.KO:
            return verdict
        if not named:
            raise _Unsaid(f"it refers to no {statement.kind} of the result")
        if statement.kind is ObjectKind.SEG:
            agreement = self._agreement(job, named, evidence)
            return replace(verdict, state=ReviewState.CORRECTED, agreement=agreement)
        changes = _changes(named, evidence)
        return replace(verdict, state=ReviewState.CORRECTED if changes else ReviewState.ACCEPTED, changes=changes)

    def _agreement(self, job: JobRecord, segs: Sequence[ObjectRecord], evidence: _Evidence) -> Mapping[str, float]:
        """Return the Dice of each segment; none, with an event, where the two cannot be compared."""
        found: dict[str, float] = {}
        for seg in segs:
            try:
                found |= agreement_between(_file_of(seg), evidence.path)
            except (NotComparable, UnreadableFile, _Unsaid) as reason:
                text = f"{evidence.statement.sop_uid} is not compared with {seg.sop_uid}: {reason}"
                self._tell(NO_AGREEMENT, job.key, text)
        return found

    def _keep(self, job: JobRecord, before: ReviewRecord, verdict: ReviewRecord) -> None:
        try:
            kept = self._ledger.reviews.add(verdict, seen=before.state, second_reader=self._second_reader)
        except ForbiddenTransition as refusal:
            self._tell(LATE, job.key, f"{verdict.evidence} from {verdict.source} says {verdict.state}: {refusal}")
            return
        self._told(job, before, kept)

    def _tell(self, kind: str, subject: str, text: str) -> None:
        """Record an event, once: what is sent again says nothing new."""
        if all(event.text != text for event in self._ledger.events.newest(subjects=[subject], kind=kind)):
            self._ledger.events.record(kind, subject, text)


@dataclass(frozen=True, slots=True)
class _Evidence:
    """An object that may be a verdict, its file, and the trusted archive or sender that it came from."""

    statement: Statement
    path: Path
    source: str


def _by_job(about: Sequence[ObjectRecord]) -> Mapping[str, Sequence[ObjectRecord]]:
    found: dict[str, list[ObjectRecord]] = defaultdict(list)
    for item in about:
        found[item.job_key].append(item)
    return found


def _changes(reports: Sequence[ObjectRecord], evidence: _Evidence) -> Changes:
    """Return what a verified document says otherwise than ours.

    Raises _Unsaid where it only mentions ours: a report that cites a result need not agree with it.
    """
    found: list[Mapping[str, object]] = []
    for report in reports:
        whole = report.sop_uid in evidence.statement.predecessors
        changed = corrections(_file_of(report), evidence.path, whole=whole)
        if changed is None:
            raise _Unsaid("it cites the result and repeats none of its measurements or findings")
        found += changed
    return tuple(found)


def _file_of(item: ObjectRecord) -> Path:
    if not item.path.exists():
        raise _Unsaid(f"the file of {item.sop_uid} made room (data.retain_days), so that nothing can be compared")
    return item.path
