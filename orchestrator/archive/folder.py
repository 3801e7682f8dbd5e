"""An archive that is a folder of DICOM files."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from pydicom import dcmread
from pydicom.dataset import Dataset

from orchestrator.archive.durable import DurableFolders, write_durably
from orchestrator.archive.identity import ATTRIBUTES, one_patient, study_identity
from orchestrator.archive.uid import is_uid
from orchestrator.domain.errors import ArchiveRefused, ArchiveUnavailable, UnreadableFile
from orchestrator.domain.ports import ObjectReference
from orchestrator.domain.series import StudyIdentity

_WANTED = [*ATTRIBUTES, "SeriesInstanceUID", "SOPInstanceUID"]


@dataclass(frozen=True, slots=True)
class _Entry:
    """What is known of one file; ``identity`` is None where it is no DICOM instance."""

    changed_ns: int
    size: int
    identity: StudyIdentity | None
    series_uid: str = ""
    sop_uid: str = ""


class FolderArchive:
    """All DICOM files below a folder; what is stored goes to ``<StudyUID>/<SeriesUID>/<SOPUID>.dcm``.

    The index is kept in memory: only files whose time or size changed are parsed again.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self._name = name
        self._folder = folder.absolute()
        self._folders = DurableFolders(self._folder)
        self._index: dict[Path, _Entry] = {}
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """The archive's name in the settings."""
        return self._name

    def echo(self) -> float:
        """Return the seconds that looking at the folder took.

        Raises ArchiveUnavailable.
        """
        start = time.perf_counter()
        self._check_there()
        next(os.scandir(self._folder), None)
        return time.perf_counter() - start

    def files(self) -> Iterator[Path]:
        """Yield every file below the folder in order of their names.

        Hidden files and folders (ours too: .orchestrator) are passed over, links are followed once.
        Raises ArchiveUnavailable.
        """
        self._check_there()
        yield from _files(self._folder, set())

    def identity(self, study_uid: str) -> StudyIdentity | None:
        """Return patient and study as the newest file of the study has them, None where there is none.

        Raises ArchiveUnavailable, ArchiveRefused (several patients).
        """
        entries = sorted(self._refreshed(), key=lambda entry: entry.changed_ns)
        held = [entry.identity for entry in entries if entry.identity is not None]
        return one_patient([found for found in held if found.study_uid == study_uid], self._name, study_uid)

    def missing(self, references: Sequence[ObjectReference]) -> frozenset[str]:
        """Return the SOP Instance UIDs that the folder does not hold in that study and series.

        Raises ArchiveUnavailable.
        """
        held = {
            (entry.identity.study_uid, entry.series_uid, entry.sop_uid)
            for entry in self._refreshed()
            if entry.identity is not None
        }
        return frozenset(
            reference.sop_uid
            for reference in references
            if (reference.study_uid, reference.series_uid, reference.sop_uid) not in held
        )

    def store(self, paths: Sequence[Path]) -> None:
        """Copy the files and return when they are durable; the same bytes again change nothing.

        Raises ArchiveUnavailable, ArchiveRefused (other bytes under the same UID), UnreadableFile.
        """
        self._check_there()
        for path in paths:
            try:
                self._store(path)
            except OSError as fault:
                raise ArchiveUnavailable(f"{self} cannot be written: {fault.strerror}") from None

    def __str__(self) -> str:
        return f"archive {self._name!r} ({self._folder})"

    def _store(self, path: Path) -> None:
        content = path.read_bytes()
        target = self._target(path)
        if target.exists():
            if target.read_bytes() == content:
                return
            raise ArchiveRefused(f"{self} holds other content under {target.stem}; nothing is overwritten")
        self._folders.make(target.parent)
        write_durably(target.with_name(f".{uuid4().hex}.part"), content, target)

    def _target(self, path: Path) -> Path:
        header = _header(path)
        uids = [str(header.get(key, "")) for key in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")]
        if not all(map(is_uid, uids)):
            raise UnreadableFile(f"{path} lacks a valid Study, Series or SOP Instance UID")
        study_uid, series_uid, sop_uid = uids
        return self._folder / study_uid / series_uid / f"{sop_uid}.dcm"

    def _check_there(self) -> None:
        if not self._folder.is_dir():
            raise ArchiveUnavailable(f"{self} is not there: make the folder, or mount what it is on")

    def _refreshed(self) -> list[_Entry]:
        with self._lock:
            self._index = {path: self._entry(path) for path in self.files()}
            return list(self._index.values())

    def _entry(self, path: Path) -> _Entry:
        try:
            status = path.stat()
        except FileNotFoundError:
            return _Entry(0, 0, None)
        known = self._index.get(path)
        if known is not None and (known.changed_ns, known.size) == (status.st_mtime_ns, status.st_size):
            return known
        try:
            header = _header(path)
            series_uid, sop_uid = str(header.get("SeriesInstanceUID", "")), str(header.get("SOPInstanceUID", ""))
            return _Entry(status.st_mtime_ns, status.st_size, study_identity(header), series_uid, sop_uid)
        except UnreadableFile:
            return _Entry(status.st_mtime_ns, status.st_size, None)


def _files(folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    status = folder.stat()
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from _files(path, seen)
        elif path.is_file():
            yield path


def _header(path: Path) -> Dataset:
    try:
        return dcmread(path, specific_tags=list(_WANTED), stop_before_pixels=True)
    except Exception as fault:  # noqa: BLE001  # pydicom raises anything at all on broken bytes
        raise UnreadableFile(f"{path} is no DICOM file ({type(fault).__name__})") from None
