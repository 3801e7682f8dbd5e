"""Verdicts that a radiologist leaves in the archive: a verified SR, an edited SEG, a rejection note.

This module reads the document and decides whether to trust it; ``pipeline.review`` holds the rules of verdicts.
A document counts only if the settings trust its source, it names an object of this host by SOP Instance UID, and it
is of the same patient and study. A document that does not count leaves an event that says why.
A document counts once, however often it is read: its verdict keeps its SOP Instance UID.
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
from orchestrator.domain.errors import (
    ArchiveRefused,
    ForbiddenTransition,
    NotComparable,
    UnknownRecord,
    UnreadableFile,
    UserError,
)
from orchestrator.domain.reading import SecondReader
from orchestrator.domain.records import ObjectKind, ObjectRecord
from orchestrator.domain.review import ReviewState, why_no_verdict
from orchestrator.domain.series import Instance
from orchestrator.ledger import Ledger
from orchestrator.pipeline.delivery.destination import Destination
from orchestrator.pipeline.review.verdict import (
    ReviewChanged,
    ReviewedResult,
    VerdictDocument,
    VerdictRequest,
    give_verdict,
    reviewed_result,
)

IGNORED, LATE, NO_AGREEMENT = "verdict-ignored", "verdict-late", "verdict-without-agreement"


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


_NO_VERDICT = {
    ObjectKind.SR: "it is not verified",
    ObjectKind.KO: "its title rejects nothing",
}


class _NoVerdict(Exception):
    """A document is no verdict on a result; the message says why, without patient data."""


class Verdicts:
    """Reads the documents that a radiologist left in the archive, and gives their verdicts."""

    def __init__(
        self,
        ledger: Ledger,
        trusted: TrustedSources,
        *,
        destinations: Mapping[str, Destination],
        review_changed: ReviewChanged,
        clock: Callable[[], datetime],
        second_reader: SecondReader = SecondReader.NONE,
    ) -> None:
        """Give verdicts into this ledger.

        destinations: asked for the present patient of a study where the document names another one than the result.
        review_changed: called after each verdict.
        """
        self._ledger = ledger
        self._trusted = trusted
        self._destinations = destinations
        self._review_changed = review_changed
        self._clock = clock
        self._second_reader = second_reader

    def take(self, instance: Instance, *, source: str, calling: str) -> None:
        """Give the verdict that an SR, a SEG or a key object selection states, or record why it states none.

        source: name of the archive that it came from; calling: AE title of its sender.
        Raises ArchiveUnavailable: the caller tries again later.
        """
        trusted = self._trusted.name(source, calling)
        try:
            statement = read_statement(instance.path)
            about = self._ledger.objects.find(statement.predecessors | statement.references)
            if not about and not statement.judges:
                return  # a dose report, key images for a conference: not meant as a verdict
            self._check(statement, about, trusted)
        except (UnreadableFile, _NoVerdict) as reason:
            self._record_event(IGNORED, instance.series_uid, f"{instance.sop_uid} is no verdict: {reason}")
            return
        for key, ours in _by_job(about).items():
            try:
                self._give(key, ours, _Evidence(statement, instance.path, trusted))
            except (UnreadableFile, _NoVerdict) as reason:
                self._record_event(IGNORED, key, f"{instance.sop_uid} is no verdict on this result: {reason}")

    def _check(self, statement: Statement, about: Sequence[ObjectRecord], trusted: str) -> None:
        """Raise _NoVerdict where the document cannot be a verdict on any result of this host."""
        if self._ledger.objects.known([statement.sop_uid]):
            raise _NoVerdict("this host wrote it")
        if not about:
            raise _NoVerdict("it refers to no object of this host")
        if not trusted:
            raise _NoVerdict("the settings do not trust the source that it came from with verdicts")
        if not statement.judges:
            raise _NoVerdict(_NO_VERDICT[statement.kind])
        if statement.kind is ObjectKind.SR and not statement.by:
            raise _NoVerdict("it is verified and does not say by whom")

    def _give(self, job_key: str, ours: Sequence[ObjectRecord], evidence: _Evidence) -> None:
        """Give the verdict on one result, once.

        Raises _NoVerdict, UnreadableFile, ArchiveUnavailable.
        """
        sop_uid = evidence.statement.sop_uid
        if any(review.evidence == sop_uid for review in self._ledger.reviews.of_job(job_key)):
            return
        result = self._result(job_key)
        self._check_identity(evidence.statement, ours)
        if ended := why_no_verdict(result.job.state, result.newest.state):  # saves comparing large segmentations
            self._record_event(LATE, job_key, f"{sop_uid} from {evidence.source} came when the result was {ended}")
            return
        request = self._request(result, ours, evidence)
        try:
            give_verdict(
                self._ledger,
                request,
                second_reader=self._second_reader,
                review_changed=self._review_changed,
                clock=self._clock,
            )
        except ForbiddenTransition as refusal:
            self._record_event(LATE, job_key, f"{sop_uid} from {evidence.source} says {request.state}: {refusal}")
        except UserError as refusal:
            raise _NoVerdict(str(refusal)) from None

    def _result(self, job_key: str) -> ReviewedResult:
        try:
            return reviewed_result(self._ledger, job_key)
        except UnknownRecord as fault:
            raise _NoVerdict(str(fault)) from None

    def _check_identity(self, statement: Statement, ours: Sequence[ObjectRecord]) -> None:
        """Raise _NoVerdict unless the patient is that of the result, or the one that an archive names now."""
        if {item.study_uid for item in ours} != {statement.identity.study_uid}:
            raise _NoVerdict("it is of another study")
        written = next((item.path for item in ours if item.path.exists()), None)
        differing = identity_of(written).differences(statement.identity) if written else ("patient",)
        if differing and not self._is_present_identity(statement):
            raise _NoVerdict(f"its {', '.join(differing)} is not that of the result, nor what an archive says now")

    def _is_present_identity(self, statement: Statement) -> bool:
        """Return whether a destination holds the study under this patient, who was renamed or merged since."""
        for destination in self._destinations.values():
            if destination.ask:
                with suppress(ArchiveRefused):
                    held = destination.archive.identity(statement.identity.study_uid)
                    if held is not None and not statement.identity.differences(held):
                        return True
        return False

    def _request(self, result: ReviewedResult, ours: Sequence[ObjectRecord], evidence: _Evidence) -> VerdictRequest:
        """Return the verdict that the document states on the result.

        Raises _NoVerdict, UnreadableFile.
        """
        statement = evidence.statement
        document = VerdictDocument(statement.sop_uid, evidence.source)
        request = VerdictRequest(
            job_key=result.job.key,
            state=ReviewState.REJECTED,
            seen=result.newest.state,
            seen_at=result.newest.at,
            by=statement.by,
            organization=statement.organization,
            reason=statement.reason,
            document=document,
        )
        objects = [item for item in ours if item.kind is statement.kind]
        if statement.kind is ObjectKind.KO:
            return request
        if not objects:
            raise _NoVerdict(f"it refers to no {statement.kind} of the result")
        if statement.kind is ObjectKind.SEG:
            document = replace(document, agreement=self._agreement(result.job.key, objects, evidence))
            return replace(request, state=ReviewState.CORRECTED, document=document)
        document = replace(document, changes=_changes(objects, evidence))
        state = ReviewState.CORRECTED if document.changes else ReviewState.ACCEPTED
        return replace(request, state=state, document=document)

    def _agreement(self, job_key: str, segs: Sequence[ObjectRecord], evidence: _Evidence) -> Mapping[str, float]:
        """Return the Dice of each segment; none, with an event, where the two cannot be compared."""
        agreement: dict[str, float] = {}
        for seg in segs:
            try:
                agreement |= agreement_between(_file_of(seg), evidence.path)
            except (NotComparable, UnreadableFile, _NoVerdict) as reason:
                text = f"{evidence.statement.sop_uid} is not compared with {seg.sop_uid}: {reason}"
                self._record_event(NO_AGREEMENT, job_key, text)
        return agreement

    def _record_event(self, kind: str, subject: str, text: str) -> None:
        """Record an event, once: a document may be sent again."""
        if all(event.text != text for event in self._ledger.events.newest(subjects=[subject], kind=kind)):
            self._ledger.events.record(kind, subject, text)


@dataclass(frozen=True, slots=True)
class _Evidence:
    """A document that may be a verdict, its file, and the trusted archive or sender that it came from."""

    statement: Statement
    path: Path
    source: str


def _by_job(about: Sequence[ObjectRecord]) -> Mapping[str, Sequence[ObjectRecord]]:
    by_job: dict[str, list[ObjectRecord]] = defaultdict(list)
    for item in about:
        by_job[item.job_key].append(item)
    return by_job


def _changes(reports: Sequence[ObjectRecord], evidence: _Evidence) -> Changes:
    """Return what a verified report says otherwise than the result.

    Raises _NoVerdict where it only cites the result: a report that cites it need not agree with it.
    """
    changes: list[Mapping[str, object]] = []
    for report in reports:
        whole = report.sop_uid in evidence.statement.predecessors
        changed = corrections(_file_of(report), evidence.path, whole=whole)
        if changed is None:
            raise _NoVerdict("it cites the result and repeats none of its measurements or findings")
        changes += changed
    return tuple(changes)


def _file_of(item: ObjectRecord) -> Path:
    if not item.path.exists():
        raise _NoVerdict(f"the file of {item.sop_uid} made room (data.retain_days), so that nothing can be compared")
    return item.path
