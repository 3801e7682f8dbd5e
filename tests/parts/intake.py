"""An intake with a clock that is set by hand, over a spool of files; routing and documents are stand-ins."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from pydicom import dcmread

from orchestrator.archive import Arrival, SpooledFile
from orchestrator.domain.errors import ArchiveUnavailable, UnreadableFile
from orchestrator.domain.images import LeftOut
from orchestrator.domain.records import SeriesRecord
from orchestrator.domain.series import Instance
from orchestrator.ledger import Ledger
from orchestrator.pipeline.arrival.intake import Intake
from orchestrator.pipeline.review.documents import ReviewDocument
from tests.data.records import series_record


class Routes:
    """Stands where Routing does, and keeps how many images were admitted and which series were released."""

    def __init__(self) -> None:
        self.admitted: list[int] = []
        self.newest: dict[str, LeftOut | None] = {}
        self.files: set[Path] = set()
        self.released: list[str] = []
        self.fault: Exception | None = None

    def admit(self, instances: Collection[Instance], **_: object) -> SeriesRecord:
        if self.fault is not None:
            raise self.fault
        self.admitted.append(len(instances))
        self.newest = {instance.sop_uid: instance.left_out for instance in instances}
        self.files = {instance.path for instance in instances}
        return series_record(series_uid=next(iter(instances)).series_uid)

    def release(self, series_uid: str, revision: int, reason: str) -> None:
        self.released.append(series_uid)


class Files:
    """Stands where the spool does: all of its files are of the series that is asked for."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths
        self.older: tuple[Path, ...] = ()
        self.broken: set[Path] = set()
        self.moved: dict[Path, str] = {}
        self.senders: dict[Path, str] = {}

    def series_files(self, study_uid: str, series_uid: str) -> Sequence[SpooledFile]:
        files = [spooled(path, series_uid) for path in self.paths]
        if self.older:
            files[0] = replace(files[0], sop_uid=sop_uid_of(self.paths[0]), older=self.older)
        return files

    def arrival(self, file: SpooledFile) -> Arrival:
        if file.path in self.broken:
            raise UnreadableFile(f"{file.path}: its file meta cannot be read")
        return Arrival(path=file.path, calling=self.senders.get(file.path, ""))

    def recorded_source(self, path: Path) -> str:
        return self.moved.get(path, "")


def spooled(path: Path, series_uid: str) -> SpooledFile:
    return SpooledFile(path, "1.2", series_uid, path.stem, 0)


def sop_uid_of(path: Path) -> str:
    return str(dcmread(path, stop_before_pixels=True).SOPInstanceUID)


class Documents:
    """Stands where the queue of review documents does."""

    def __init__(self) -> None:
        self.processed: list[tuple[str, str]] = []
        self.away = self.busy = False

    def put(self, document: ReviewDocument) -> None:
        pass

    def is_processed(self, document: ReviewDocument) -> bool:
        if self.away:
            raise ArchiveUnavailable("away")
        if not self.busy:
            self.processed.append((document.instance.sop_uid, document.arrival.source))
        return not self.busy


class Desk:
    """An intake with a clock that is set by hand, over a spool of files."""

    def __init__(self, ledger: Ledger, paths: list[Path], *, may_replace: Collection[str] = ()) -> None:
        self.now = 100.0
        self.routes = Routes()
        self.files = Files(paths)
        self.documents = Documents()
        self.intake = Intake(
            ledger,
            self.routes,  # type: ignore[arg-type]
            self.files,
            quiet_seconds=lambda arrival: 40.0 if arrival.called == "SLOW" else 10.0,
            may_replace=may_replace,
            documents=self.documents,  # type: ignore[arg-type]
            clock=lambda: self.now,
        )

    def after(self, seconds: float) -> None:
        self.now += seconds
        self.intake.advance()
