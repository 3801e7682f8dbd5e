"""One series between its first image and the release of its results."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.archive import Announced, Arrival, Closed
from orchestrator.dicom import newest_content
from orchestrator.domain.records import SeriesRecord
from orchestrator.domain.series import Instance
from orchestrator.pipeline.review.documents import ReviewDocument

_EARLIER_REVISION = "(an earlier revision)"
"""Stands for the associations of an earlier revision: they are not known any more."""


@dataclass(slots=True)
class PendingSeries:
    """What the intake knows of one series.

    arrival: how the newest file came. last_arrival: when, in seconds since 1970.
    quiet_seconds: the quiet period for files that came like the newest one.
    instances: by SOP Instance UID. paths: every file that came; one content may lie in several files.
    replaced: SOP Instance UIDs whose content a newer one replaced, since the last admission.
    associations: those that brought files. aborted: one of them ended without A-RELEASE.
    has_hint: all files came by one association, it was released, and its sender has no other one open.
    announced: how many instances somebody says there are in all.
    proof: why no image is missing; empty = no proof, None = not checked since the last file.
    started: models may run. revision: the record that was admitted for them.
    documents: what may hold a verdict and was not processed yet, by file, source and calling AE title: whom to trust is
        decided for each way that a file came, and a way without trust takes nothing from one with trust.
    retry_at: not before this time, in seconds since 1970; 0 = the last step did not fail.
    """

    series_uid: str
    arrival: Arrival
    last_arrival: float = 0.0
    quiet_seconds: float = 0.0
    instances: dict[str, Instance] = field(default_factory=dict)
    paths: set[Path] = field(default_factory=set)
    replaced: set[str] = field(default_factory=set)
    associations: set[str] = field(default_factory=set)
    aborted: bool = False
    has_hint: bool = False
    announced: Announced | None = None
    proof: str | None = None
    started: bool = False
    revision: SeriesRecord | None = None
    documents: dict[tuple[Path, str, str], ReviewDocument] = field(default_factory=dict)
    retry_at: float = 0.0

    def add(self, instance: Instance, arrival: Arrival, *, now: float, quiet_seconds: float) -> bool:
        """Add an instance; return True where it changes a series whose models have started.

        The same content again (SOP Instance UID and digest) only prolongs the quiet period. Other content replaces the
        known one where it is the same image; different images under one UID are left out (``newest_content``).
        """
        self.arrival = arrival
        self.last_arrival = now
        self.quiet_seconds = quiet_seconds
        self.paths.add(instance.path)
        self.associations.add(arrival.association)
        known = self.instances.get(instance.sop_uid)
        if known is not None:
            instance = newest_content(known, instance)
            if known.digest == instance.digest:
                return False
            self.replaced.add(instance.sop_uid)
        return self._change(instance)

    def compare(self, older: Instance) -> bool:
        """Compare a known instance with its older content; return True where this changes a series that has started."""
        known = self.instances[older.sop_uid]
        compared = newest_content(older, known)
        return compared.digest != known.digest and self._change(compared)

    def _change(self, instance: Instance) -> bool:
        """Add an instance; return True where models have started."""
        self.instances[instance.sop_uid] = instance
        self.has_hint = False
        self.proof = None
        reopened, self.started = self.started, False
        if reopened:
            self.revision = None
        return reopened

    def add_document(self, document: ReviewDocument) -> None:
        """Add a document that may hold a verdict; it is processed before the series is released."""
        arrival = document.arrival
        self.documents[arrival.path, arrival.source, arrival.calling] = document

    def resume(self, instances: Collection[Instance]) -> None:
        """Add the instances of an earlier revision, whose models have started."""
        if instances:
            self.instances |= {instance.sop_uid: instance for instance in instances}
            self.paths |= {instance.path for instance in instances}
            self.associations.add(_EARLIER_REVISION)
            self.started = True

    def close(self, closed: Closed) -> None:
        """Note the end of an association; an abort, or another one still open, is no hint that all images came."""
        is_ours = closed.association in self.associations
        if is_ours and not closed.released:
            self.aborted = True
        # a fetch has no calling AE title, so only its own end counts
        if self.arrival.calling == closed.calling and (closed.calling or is_ours):
            self.has_hint = len(self.associations) == 1 and not self.aborted and closed.others_open == 0

    def announce(self, announced: Announced) -> None:
        """Note how many instances there are in all; with fewer at hand it proves nothing yet."""
        self.announced = announced
        self.proof = None
