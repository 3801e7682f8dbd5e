"""An archive that is a folder of DICOM files."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from orchestrator.archive.protocol.uid import is_uid
from orchestrator.archive.query.fetch import SeriesFetch
from orchestrator.archive.query.identity import ATTRIBUTES, one_patient, study_identity
from orchestrator.archive.query.matching import SERIES_KEYS, STUDY_KEYS, check_query, matches, series_in, values
from orchestrator.domain.errors import ArchiveRefused, ArchiveUnavailable, UnreadableFile
from orchestrator.domain.ports import FoundSeries, Inbox, ObjectReference
from orchestrator.domain.series import Headers, StudyIdentity
from orchestrator.durable import DurableFolders, write_durably
from orchestrator.file_modes import file_mode_in, folder_mode

_IDENTITY_KEYWORDS = [*ATTRIBUTES, "SeriesInstanceUID", "SOPInstanceUID"]
_QUERY_KEYWORDS = ["SpecificCharacterSet", *STUDY_KEYS, *SERIES_KEYS]
_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class _Entry:
    """Index entry of one file; ``identity`` is None where the file is not a DICOM instance."""

    changed_ns: int
    size: int
    identity: StudyIdentity | None
    series_uid: str = ""
    sop_uid: str = ""


class FolderArchive:
    """All DICOM files below a folder; ``store`` writes to ``<StudyUID>/<SeriesUID>/<SOPUID>.dcm``.

    What it writes is as readable as the folder itself: other programs and accounts fetch results there.

    The index is in memory: only files whose time or size changed are parsed again.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self._name = name
        self._folder = folder.absolute()
        self._folders = DurableFolders(self._folder, mode=lambda: folder_mode(self._folder))
        self._index: dict[Path, _Entry] = {}
        self._headers: dict[Path, tuple[_Entry, Headers]] = {}  # of one file for each series
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """The archive's name in the settings."""
        return self._name

    @property
    def folder(self) -> Path:
        """The folder with the files."""
        return self._folder

    def echo(self) -> float:
        """Return the seconds that it took to list the folder.

        Raises ArchiveUnavailable.
        """
        start = time.perf_counter()
        self._check_exists()
        with os.scandir(self._folder) as entries:
            next(entries, None)
        return time.perf_counter() - start

    def files(self) -> Iterator[Path]:
        """Yield every file below the folder, in order of names.

        Hidden files and folders (also .orchestrator) are skipped; links are followed once.
        Raises ArchiveUnavailable.
        """
        self._check_exists()
        yield from _files(self._folder, set())

    def below(self, path: Path) -> Iterator[Path]:
        """Yield the files at or below one path in the folder; nothing for a hidden or missing path.

        Raises ArchiveUnavailable.
        """
        self._check_exists()
        if not path.is_relative_to(self._folder) or _is_hidden(path.relative_to(self._folder)):
            return
        if path.is_dir():
            yield from _files(path, set())
        elif path.is_file():
            yield path

    def identity(self, study_uid: str) -> StudyIdentity | None:
        """Return patient and study from the newest file of the study, None where the folder lacks the study.

        Raises ArchiveUnavailable, ArchiveRefused (several patients).
        """
        entries = sorted(self._refresh(), key=lambda entry: entry.changed_ns)
        identities = [entry.identity for entry in entries if entry.identity is not None]
        return one_patient([each for each in identities if each.study_uid == study_uid], self._name, study_uid)

    def missing(self, references: Sequence[ObjectReference]) -> frozenset[str]:
        """Return the SOP Instance UIDs that the folder does not hold in that study and series.

        Raises ArchiveUnavailable.
        """
        instances = {
            (entry.identity.study_uid, entry.series_uid, entry.sop_uid)
            for entry in self._refresh()
            if entry.identity is not None
        }
        return frozenset(
            reference.sop_uid
            for reference in references
            if (reference.study_uid, reference.series_uid, reference.sop_uid) not in instances
        )

    def store(self, paths: Sequence[Path]) -> None:
        """Copy the files and return when they are durable; a file that the folder has already changes nothing.

        Raises ArchiveUnavailable, ArchiveRefused (other bytes under the same UID), UnreadableFile.
        """
        self._check_exists()
        for path in paths:
            try:
                self._store(path)
            except OSError as fault:
                raise ArchiveUnavailable(f"{self} cannot be written: {fault.strerror}") from None

    def find(self, query: Mapping[str, str]) -> Iterator[FoundSeries]:
        """Yield the series that match: keyword of study or series -> value in DICOM's matching (PS3.4 C.2.2.2).

        Raises ArchiveUnavailable, ArchiveRefused.
        """
        keys = check_query(query)
        self._refresh()
        for files in self._series().values():
            headers = self._headers_of(files[0])
            series = series_in(headers, len(files))
            if series is not None and matches(keys, headers):
                yield series

    def fetch(self, series: FoundSeries, inbox: Inbox) -> int:
        """Copy all instances of the series into the inbox and return how many.

        The index is refreshed only where it lacks the series, because a refresh of a large folder is slow.
        Raises ArchiveUnavailable, ArchiveRefused (the series is absent), StorageFull, OSError.
        """
        if series.series_uid not in self._series():
            self._refresh()
        files = [path for path in self._series().get(series.series_uid, []) if path.exists()]
        if not files:
            raise ArchiveRefused(f"{self} no longer holds series {series.series_uid}")
        fetch = SeriesFetch(str(self), series, inbox)
        for path in files:
            fetch.add(self._pieces(path))
        return fetch.finish()

    def __str__(self) -> str:
        return f"archive {self._name!r} ({self._folder})"

    def _series(self) -> dict[str, list[Path]]:
        """Return the files of each series in the index."""
        series: dict[str, list[Path]] = {}
        with self._lock:
            for path, entry in self._index.items():
                if entry.series_uid:
                    series.setdefault(entry.series_uid, []).append(path)
        return series

    def _headers_of(self, path: Path) -> Headers:
        """Return the study and series headers of the file; nothing where it is missing or broken."""
        entry = self._index[path]
        item = self._headers.get(path)
        if item is None or item[0] != entry:
            try:
                item = entry, _headers(_header(path, _QUERY_KEYWORDS))
            except UnreadableFile:
                item = entry, {}
            self._headers[path] = item
        return item[1]

    def _pieces(self, path: Path) -> Iterator[bytes]:
        try:
            with path.open("rb") as file:
                while piece := file.read(_PIECE_BYTES):
                    yield piece
        except OSError as fault:
            raise ArchiveUnavailable(f"{self} cannot be read: {fault.strerror}") from None

    def _store(self, path: Path) -> None:
        content = path.read_bytes()
        target = self._target(path)
        if target.exists():
            if target.read_bytes() == content:
                return
            raise ArchiveRefused(f"{self} holds other content under {target.stem}; the host does not overwrite it")
        self._folders.make(target.parent)
        write_durably(target, content, mode=file_mode_in(self._folder))

    def _target(self, path: Path) -> Path:
        header = _header(path)
        uids = [str(header.get(key, "")) for key in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")]
        if not all(map(is_uid, uids)):
            raise UnreadableFile(f"{path} lacks a valid Study, Series or SOP Instance UID")
        study_uid, series_uid, sop_uid = uids
        return self._folder / study_uid / series_uid / f"{sop_uid}.dcm"

    def _check_exists(self) -> None:
        if not self._folder.is_dir():
            raise ArchiveUnavailable(f"{self} does not exist: create the folder, or mount its disk")

    def _refresh(self) -> list[_Entry]:
        with self._lock:
            self._index = {path: self._entry(path) for path in self.files()}
            return list(self._index.values())

    def _entry(self, path: Path) -> _Entry:
        try:
            status = path.stat()
        except FileNotFoundError:
            return _Entry(0, 0, None)
        entry = self._index.get(path)
        if entry is not None and (entry.changed_ns, entry.size) == (status.st_mtime_ns, status.st_size):
            return entry
        try:
            header = _header(path)
            series_uid, sop_uid = str(header.get("SeriesInstanceUID", "")), str(header.get("SOPInstanceUID", ""))
            return _Entry(status.st_mtime_ns, status.st_size, study_identity(header), series_uid, sop_uid)
        except UnreadableFile:
            return _Entry(status.st_mtime_ns, status.st_size, None)


def _is_hidden(below: Path) -> bool:
    return any(part.startswith(".") for part in below.parts)


def _files(folder: Path, visits: set[tuple[int, int]]) -> Iterator[Path]:
    status = folder.stat()
    if (status.st_dev, status.st_ino) in visits:
        return
    visits.add((status.st_dev, status.st_ino))
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from _files(path, visits)
        elif path.is_file():
            yield path


def _headers(dataset: Dataset) -> Headers:
    """Return keyword -> values of the data set, without absent and empty attributes."""
    content = {keyword: dataset.get(keyword) for keyword in (*STUDY_KEYS, *SERIES_KEYS)}
    items = {
        keyword: value if isinstance(value, MultiValue) else [value] for keyword, value in content.items() if value
    }
    return {keyword: values(keyword, texts) for keyword, texts in items.items()}


def _header(path: Path, keywords: Sequence[str] = _IDENTITY_KEYWORDS) -> Dataset:
    try:
        return dcmread(path, specific_tags=list(keywords), stop_before_pixels=True)
    except Exception as fault:  # noqa: BLE001  # pydicom raises anything at all on broken bytes
        raise UnreadableFile(f"{path} is not a DICOM file ({type(fault).__name__})") from None
