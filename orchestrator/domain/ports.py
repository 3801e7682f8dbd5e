"""Protocols for what the pipeline needs from outside; adapters implement them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy.typing as npt

from orchestrator.domain.model import ModelDescription
from orchestrator.domain.records import JobRecord, ObjectRecord
from orchestrator.domain.result import Result
from orchestrator.domain.series import Headers, Series, StudyIdentity
from orchestrator.domain.volume import Volume


@dataclass(frozen=True, slots=True)
class ObjectReference:
    """The UIDs by which an archive finds an object."""

    study_uid: str
    series_uid: str
    sop_uid: str
    sop_class: str


class Archive(Protocol):
    """A store of DICOM objects; every call may raise ArchiveUnavailable or ArchiveRefused."""

    @property
    def name(self) -> str:
        """The archive's name in the settings."""

    def identity(self, study_uid: str) -> StudyIdentity | None:
        """Return patient and study as the archive holds them now, None where it lacks the study."""

    def missing(self, references: Sequence[ObjectReference]) -> frozenset[str]:
        """Return the SOP Instance UIDs that the archive does not hold."""

    def store(self, paths: Sequence[Path]) -> None:
        """Send the files in one association and return when each was answered with success."""

    def echo(self) -> float:
        """Return the seconds that the archive took to answer a C-ECHO or its like."""


@dataclass(frozen=True, slots=True)
class FoundSeries:
    """One series as an archive describes it, before any fetch.

    headers: attributes of study and series in the answer, by keyword. count: how many instances it holds now
    (NumberOfSeriesRelatedInstances), which is not how many there will be; None where it does not say.
    """

    study_uid: str
    series_uid: str
    headers: Headers = field(default_factory=dict)
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A series that got an instance since the last scan.

    complete: why the archive says that the series is complete, in words; empty where it does not.
    """

    series: FoundSeries
    complete: str = ""


@dataclass(frozen=True, slots=True)
class Changes:
    """Result of one scan of an archive. cursor: where the next scan begins; more: scan again at once."""

    changes: tuple[Change, ...]
    cursor: str
    more: bool = False


class Inbox(Protocol):
    """Stores fetched instances; each call returns the SOP Instance UID of one checked instance.

    All of them are durable when ``settle`` returns. Several threads may call at once.
    Every call may raise StorageFull, UnreadableFile or OSError.
    """

    def file(self, pieces: Iterable[bytes]) -> str:
        """Store one DICOM file (PS3.10), given in pieces of any size."""

    def dataset(self, sop_class: str, sop_uid: str, transfer_syntax: str, pieces: Iterable[bytes | memoryview]) -> str:
        """Store one encoded data set without preamble and file meta information, as C-STORE brings it."""

    def settle(self) -> None:
        """Return when all instances so far are durable."""

    def expect_pushed(self) -> None:
        """Note that the archive is asked to send the images to the receiver (C-MOVE) and not into this inbox.

        What came before a fault belongs to this fetch then.
        """


@runtime_checkable
class Searchable(Protocol):
    """An archive that can be searched; may raise ArchiveUnavailable or ArchiveRefused."""

    def find(self, query: Mapping[str, str]) -> Iterator[FoundSeries]:
        """Yield the series that match: keyword of study or series -> value in DICOM's matching (PS3.4 C.2.2.2).

        Answers that do not match the query are left out.
        """


@runtime_checkable
class Readable(Protocol):
    """An archive from which series can be fetched; may raise ArchiveUnavailable or ArchiveRefused."""

    def fetch(self, series: FoundSeries, inbox: Inbox) -> int:
        """Bring all instances of the series into the inbox and return how many, all of them settled there.

        Instances of another series are refused. Images that came before a fault stay; a retry fetches all again.
        An archive that can only send to this host's receiver (C-MOVE) leaves the inbox empty: the count is then
        what the archive says it sent. These images are durable in the spool and notified as pushed images.
        """


@runtime_checkable
class Watchable(Protocol):
    """An archive that reports changes; may raise ArchiveUnavailable or ArchiveRefused."""

    def changes(self, cursor: str) -> Changes:
        """Return the changes since the cursor; an empty cursor starts now and reports later changes only."""


@runtime_checkable
class Timekeeping(Protocol):
    """An archive that reports its time; may raise ArchiveUnavailable or ArchiveRefused."""

    def clock(self) -> datetime | None:
        """Return the archive's time with its zone; None where it reports none."""


@runtime_checkable
class Committing(Protocol):
    """An archive that takes responsibility for objects (storage commitment, PS3.4 J)."""

    def uncommitted(self, references: Sequence[ObjectReference]) -> frozenset[str]:
        """Return the SOP Instance UIDs that the archive does not commit itself to keep.

        Raises ArchiveUnavailable (no answer in time, too), ArchiveRefused.
        """


@dataclass(frozen=True, slots=True)
class Prediction:
    """The outcome of one successful attempt.

    device: where the model ran; notes: those of the result, the execution provider, and why a model meant for
    a GPU ran on the CPU.
    """

    result: Result
    device: str
    seconds: float
    notes: Mapping[str, str] = field(default_factory=dict)


class Runner(Protocol):
    """Runs models in processes of their own; a folder holds one volume and, later, its result."""

    def models(self) -> Mapping[str, ModelDescription]:
        """Return the models that can be run, by name."""

    def check_device(self, model: str) -> None:
        """Check that this machine has a device for the model.

        Raises DeviceUnavailable.
        """

    def allocate(self, folder: Path, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Return a writable array, memory-mapped in the folder, that the worker will map too."""

    def predict(self, model: str, volume: Volume, folder: Path) -> Prediction:
        """Return the model's checked result, kept in the folder as well.

        volume.voxels must be the array that ``allocate`` gave for the folder.
        Raises NotApplicable, UnsupportedInput, InvalidResult or an InferenceError.
        """

    def kept(self, folder: Path) -> Prediction:
        """Return the prediction that ``predict`` left in the folder, after a restart too."""


class Observers(Protocol):
    """Host plugins: asked for facts and objects, notified of deliveries."""

    def series_facts(self, series: Series) -> Headers:
        """Return the facts that plugins add for rules."""

    def extra_objects(self, job: JobRecord, result: Result, sources: Sequence[Path]) -> Sequence[Any]:
        """Return further datasets to send with a result.

        Raises PluginError; the attempt has failed then.
        """

    def result_delivered(self, job: JobRecord, objects: Sequence[ObjectRecord]) -> None:
        """Notify plugins that an archive confirmed the objects; their errors are only logged."""
