"""The records of the ledger as values; UIDs and digests only, no patient data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from orchestrator.domain.job import JobState, Priority, Purpose
from orchestrator.domain.result import Urgency
from orchestrator.domain.review import ReviewState


class SeriesState(StrEnum):
    """OPEN: instances may come. STARTED: models run, nothing leaves. RELEASED: results may leave."""

    OPEN = "open"
    STARTED = "started"
    RELEASED = "released"
    SUPERSEDED = "superseded"


SERIES_MOVES: Mapping[SeriesState, frozenset[SeriesState]] = {
    SeriesState.OPEN: frozenset(SeriesState),
    # started -> open: an instance came during the run
    SeriesState.STARTED: frozenset(SeriesState),
    # what was released is in an archive: a late instance opens a new revision
    SeriesState.RELEASED: frozenset({SeriesState.RELEASED, SeriesState.SUPERSEDED}),
    SeriesState.SUPERSEDED: frozenset({SeriesState.SUPERSEDED}),
}


class ObjectKind(StrEnum):
    """Kinds of objects that the host writes; SC: key images, OTHER: what a plugin adds to a result."""

    SEG = "SEG"
    SR = "SR"
    SC = "SC"
    KO = "KO"
    PR = "PR"
    OTHER = "OTHER"
    PM = "PM"


class DeliveryState(StrEnum):
    """State of one delivery."""

    WAITING = "waiting"  # not released yet, or the next attempt is due later
    SENDING = "sending"
    CONFIRMED = "confirmed"
    UNCONFIRMED = "sent, unconfirmed"
    PARKED = "parked"
    DISCARDED = "discarded"  # superseded, retracted or cancelled before it was sent


ARRIVED = frozenset({DeliveryState.CONFIRMED, DeliveryState.UNCONFIRMED})
SETTLED = ARRIVED | {DeliveryState.DISCARDED}

_D = DeliveryState
DELIVERY_MOVES: Mapping[DeliveryState, frozenset[DeliveryState]] = {
    _D.WAITING: frozenset(_D),
    _D.SENDING: frozenset(_D),
    _D.PARKED: frozenset(_D),
    _D.UNCONFIRMED: frozenset({_D.UNCONFIRMED, _D.CONFIRMED}),
    _D.CONFIRMED: frozenset({_D.CONFIRMED}),
    # discarded -> waiting: its job was cancelled and is tried again
    # discarded -> confirmed: it was under way when it was discarded, and the truth is that it arrived
    _D.DISCARDED: frozenset({_D.DISCARDED, _D.WAITING, _D.UNCONFIRMED, _D.CONFIRMED}),
}


class Note(StrEnum):
    """What a delivery brings: the result, or a rejection note (IHE IOCM) and its reason."""

    NONE = ""  # the result itself
    SUPERSEDED = "superseded"  # a newer result took its place
    RETRACTED = "retracted"  # the model was found to be faulty


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesRecord:
    """One revision of a series. ``digest`` is over its instances; ``complete_by`` says how completeness was decided."""

    series_uid: str
    revision: int
    study_uid: str
    state: SeriesState
    instance_count: int
    digest: str
    source: str = ""
    modality: str = ""
    complete_by: str = ""
    matched: bool = False
    explanation: str = ""  # JSON of rules.Explanation, identifying values hidden
    first_seen: datetime
    released_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """One job. ``seconds``: wall time of complete, read, infer, write, deliver.

    predecessors: form -> SOP Instance UID of the earlier report that this job's report names. Chosen at the first
        write, so that each attempt writes the same; None until then.
    images: how many of the received images it read, as images.ImageCount writes it; None until it has read them.
    """

    key: str
    series_uid: str
    revision: int
    study_uid: str
    model: str
    model_version: str
    model_digest: str
    rule: str
    priority: Priority
    purpose: Purpose = Purpose.LIVE
    state: JobState = JobState.WAITING
    reason: str = ""
    device: str = ""
    attempts: int = 0
    urgency: Urgency | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    findings: tuple[Mapping[str, object], ...] = ()
    measurements: tuple[Mapping[str, object], ...] = ()
    predecessors: Mapping[str, str] | None = None
    images: Mapping[str, Any] | None = None
    created_at: datetime
    updated_at: datetime

    @property
    def views(self) -> str:
        """Side and view of the images that it read, each once: ``L MLO, R MLO``; empty where they state none."""
        return ", ".join((self.images or {}).get("views", ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRecord:
    """One DICOM object in the outbox; ``sha256`` over the file's bytes.

    form: how the set that it belongs to is encoded, empty for the usual way; a result is written once for
        each form that a destination takes.
    """

    sop_uid: str
    job_key: str
    kind: ObjectKind
    sop_class: str
    series_uid: str
    study_uid: str
    path: Path
    sha256: str
    form: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRecord:
    """One delivery of a job's objects to one destination; ``next_attempt_at`` None = not released.

    note: a rejection note is delivered instead of the result.
    sent_at: when the destination accepted the current objects; they may not be confirmed yet.
    failing_since: the first failed attempt since the delivery was last requested.
    sent: SOP Instance UIDs that the destination accepted; None where an earlier version of this program sent them.
    note_uid: SOP Instance UID of the note, empty until it is written.
    """

    job_key: str
    destination: str
    note: Note = Note.NONE
    state: DeliveryState = DeliveryState.WAITING
    attempts: int = 0
    next_attempt_at: datetime | None = None
    error: str = ""
    confirmed_at: datetime | None = None
    confirmed_by: str = ""  # readback | commitment | none
    sent_at: datetime | None = None
    failing_since: datetime | None = None
    sent: tuple[str, ...] | None = None
    note_uid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationRecord:
    """Whether a destination answers.

    failures: consecutive attempts without an answer; failed_at: time of the last one.
    away_since: when it stopped answering; None while it answers.
    """

    name: str
    failures: int = 0
    failed_at: datetime | None = None
    away_since: datetime | None = None

    def in_words(self, waiting: int) -> str:
        """Return a sentence about a destination that does not answer and the results waiting for it."""
        since = f" since {self.away_since.astimezone():%Y-%m-%d %H:%M}" if self.away_since else ""
        deliveries = "1 delivery waits" if waiting == 1 else f"{waiting} deliveries wait"
        return f"{self.name} has not answered{since}; {deliveries} for it and will be retried"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRecord:
    """One verdict; the newest counts.

    changes: the corrections, each {"what": name, "before": ..., "after": ..., "unit": UCUM or ""}.
    source: the archive or sender of the verdict, empty for a verdict given on this host.
    evidence: SOP Instance UID of the object with the verdict, empty for a verdict given on this host.
    agreement: segment label -> Dice (0 to 1) between the model's mask and the edited one.
    """

    job_key: str
    state: ReviewState
    by: str = ""
    organization: str = ""
    reason: str = ""
    comment: str = ""
    at: datetime
    changes: tuple[Mapping[str, object], ...] = ()
    source: str = ""
    evidence: str = ""
    agreement: Mapping[str, float] = field(default_factory=dict)

    @property
    def unconfirmed(self) -> bool:
        """Whether this is a correction from an archive without a name, such as an edited segmentation."""
        return self.state is ReviewState.CORRECTED and bool(self.source) and not self.by


@dataclass(frozen=True, slots=True, kw_only=True)
class RetractionRecord:
    """An order to reject the results of one version of a model.

    since, until: range of the results' times; None = no limit. Without ``until`` the version does not run any more.
    """

    model: str
    model_version: str
    since: datetime | None = None
    until: datetime | None = None
    reason: str
    by: str
    organization: str
    at: datetime

    def concerns(self, reviews: Sequence[ReviewRecord]) -> bool:
        """Return whether the order covers a result with these reviews; the first review dates from its writing."""
        return self.since is None or any(review.at >= self.since for review in reviews[:1])

    def verdict_on(self, job_key: str) -> ReviewRecord:
        """Return the review by which the order retracts one result."""
        return ReviewRecord(
            job_key=job_key,
            state=ReviewState.RETRACTED,
            by=self.by,
            organization=self.organization,
            comment=self.reason,
            at=self.at,
        )

    @property
    def in_words(self) -> str:
        """The order in one sentence."""
        return f"{self.model} {self.model_version} was retracted by {self.by}: {self.reason}"

    @property
    def why_held(self) -> str:
        """Why jobs of this version are held, and what to do."""
        return f"{self.in_words}; install another version, then: orchestrator jobs retry"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """One line of the audit trail: what happened to which subject (a UID or job key), when and by whom."""

    sequence: int
    at: datetime
    kind: str
    subject: str
    text: str
    by: str = "host"
