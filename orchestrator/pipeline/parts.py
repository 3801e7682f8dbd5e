"""The parts that the flow is built from; the assembly in ``app`` chooses the concrete ones."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from orchestrator.dicom import WriteOptions
from orchestrator.dicom.objects.write_options import distinct
from orchestrator.domain.errors import ArchiveUnavailable, Unconfirmed
from orchestrator.domain.hours import Hours
from orchestrator.domain.ports import Archive, Committing, ObjectReference, Runner
from orchestrator.domain.records import JobRecord, ObjectRecord
from orchestrator.domain.result import Result
from orchestrator.domain.series import Headers, Series
from orchestrator.ledger import Ledger
from orchestrator.rules import RuleSet


class Observers(Protocol):
    """Host plugins, asked and told one by one."""

    def series_facts(self, series: Series) -> Headers:
        """Return the facts that plugins add for rules."""

    def extra_objects(self, job: JobRecord, result: Result, sources: Sequence[Path]) -> Sequence[Any]:
        """Return further datasets to send with a result.

        Raises PluginError; the attempt has failed then.
        """

    def result_delivered(self, job: JobRecord, objects: Sequence[ObjectRecord]) -> None:
        """Tell that an archive confirmed the objects; what a plugin raises is logged only."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where results go.

    ask: whether the archive can be asked for the study before sending; False is an explicit setting.
    confirm: ``readback``, ``commitment``, or ``none`` (the delivery is then recorded as "sent, unconfirmed").
    options: what it gets, and how that is encoded. hours: when it gets what can wait, None for at any time.
    per_minute: how many results it gets at most, None for as many as there are.
    """

    name: str
    archive: Archive
    ask: bool = True
    confirm: str = "readback"
    retry_hours: float = 72.0
    options: WriteOptions = field(default_factory=WriteOptions)
    hours: Hours | None = None
    per_minute: int | None = None

    def gets(self, objects: Sequence[ObjectRecord]) -> tuple[ObjectRecord, ...]:
        """Return those of a result's objects that it gets."""
        return tuple(filter(self.options.takes, objects))

    def holds(self, references: Sequence[ObjectReference]) -> bool:
        """Return whether the archive has all of these already, False where it is not to be asked.

        Raises ArchiveUnavailable, ArchiveRefused.
        """
        return self.ask and self.confirm != "none" and not self.archive.missing(references)

    def unconfirmed(self, references: Sequence[ObjectReference]) -> frozenset[str]:
        """Return the SOP Instance UIDs that the archive took and does not say that it has.

        Raises Unconfirmed where it has not answered yet; ArchiveUnavailable, ArchiveRefused.
        """
        if self.confirm == "readback":
            return self.archive.missing(references)
        if self.confirm == "commitment" and isinstance(self.archive, Committing):
            try:
                return self.archive.uncommitted(references)
            except ArchiveUnavailable as fault:
                raise Unconfirmed(
                    f"{self.name} has not committed itself to {len(references)} object(s) yet: {fault}"
                ) from None
        return frozenset()


def reference(item: ObjectRecord) -> ObjectReference:
    """Return what an archive is asked by for an object of ours."""
    return ObjectReference(item.study_uid, item.series_uid, item.sop_uid, item.sop_class)


@dataclass(frozen=True, slots=True)
class Folders:
    """Where the flow keeps its files: ``scratch`` while a model runs, ``outbox`` what is to be sent."""

    scratch: Path
    outbox: Path

    def scratch_of(self, job_key: str) -> Path:
        """Return the folder of a job's volume and raw result."""
        return self.scratch / job_key

    def part_of(self, job_key: str, number: int) -> Path:
        """Return the folder of one volume of a job and of its raw result."""
        return self.scratch_of(job_key) / f"part-{number}"

    @staticmethod
    def job_of(part: Path) -> str:
        """Return the key of the job that a folder of ``part_of`` belongs to."""
        return part.parent.name

    def outbox_of(self, job_key: str) -> Path:
        """Return the folder of a job's DICOM objects."""
        return self.outbox / job_key

    def clear_scratch(self, job_key: str) -> None:
        """Remove a job's volume and raw result; nothing there is fine."""
        shutil.rmtree(self.scratch_of(job_key), ignore_errors=True)


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that the flow calls."""

    ledger: Ledger
    runner: Runner
    rules: Callable[[], RuleSet]
    destinations: Mapping[str, Destination]
    folders: Folders
    observers: Observers
    clock: Callable[[], datetime] = _now

    @property
    def forms(self) -> tuple[WriteOptions, ...]:
        """The distinct forms that the destinations take; the usual one where there is no destination."""
        return distinct(each.options for each in self.destinations.values()) or (WriteOptions(),)
