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
from orchestrator.archive.query.fetch import Fetched
from orchestrator.archive.query.identity import ATTRIBUTES, one_patient, study_identity
from orchestrator.archive.query.matching import SERIES_KEYS, STUDY_KEYS, checked, found_series, matches, values
from orchestrator.domain.errors import ArchiveRefused, ArchiveUnavailable, UnreadableFile
from orchestrator.domain.ports import FoundSeries, Inbox, ObjectReference
from orchestrator.domain.series import Headers, StudyIdentity
from orchestrator.durable import DurableFolders, write_durably

_WANTED = [*ATTRIBUTES, "SeriesInstanceUID", "SOPInstanceUID"]
_ANSWERED = ["SpecificCharacterSet", *STUDY_KEYS, *SERIES_KEYS]
_PIECE_BYTES = 1 << 20


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
        self._headers: dict[Path, tuple[_Entry, Headers]] = {}  # of one file for each series
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """The archive's name in the settings."""
        return self._name

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self._folder

    def echo(self) -> float:
        """Return the seconds that looking at the folder took.

        Raises ArchiveUnavailable.
        """
        start = time.perf_counter()
        self._check_there()
        with os.scandir(self._folder) as entries:
            next(entries, None)
        return time.perf_counter() - start

    def files(self) -> Iterator[Path]:
        """Yield every file below the folder in order of their names.

        Hidden files and folders (ours too: .orchestrator) are passed over, links are followed once.
        Raises ArchiveUnavailable.
        """
        self._check_there()
        yield from _files(self._folder, set())

    def below(self, path: Path) -> Iterator[Path]:
        """Yield what ``files`` yields of one file or folder in it; nothing of what is hidden or gone.

        Raises ArchiveUnavailable.
        """
        self._check_there()
        if not path.is_relative_to(self._folder) or _is_hidden(path.relative_to(self._folder)):
            return
        if path.is_dir():
            yield from _files(path, set())
        elif path.is_file():
            yield path

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

    def find(self, query: Mapping[str, str]) -> Iterator[FoundSeries]:
        """Yield the series that match: keyword of study or series -> value in DICOM's matching (PS3.4 C.2.2.2).

        Raises ArchiveUnavailable, ArchiveRefused.
        """
        asked = checked(query)
        self._refreshed()
        for files in self._series().values():
            headers = self._headers_of(files[0])
            found = found_series(headers, len(files))
            if found is not None and matches(asked, headers):
                yield found

    def fetch(self, series: FoundSeries, inbox: Inbox) -> int:
        """Bring all instances of the series into the inbox and return how many.

        Which files those are the last look at the folder says: each look takes long where there are many.
        Raises ArchiveUnavailable, ArchiveRefused (it is not there), StorageFull, OSError.
        """
        if series.series_uid not in self._series():
            self._refreshed()
        files = [path for path in self._series().get(series.series_uid, []) if path.exists()]
        if not files:
            raise ArchiveRefused(f"{self} holds series {series.series_uid} no longer")
        fetched = Fetched(str(self), series, inbox)
        for path in files:
            fetched.take(self._pieces(path))
        return fetched.count()

    def __str__(self) -> str:
        return f"archive {self._name!r} ({self._folder})"

    def _series(self) -> dict[str, list[Path]]:
        """Return the files of each series, as the last look found them."""
        series: dict[str, list[Path]] = {}
        with self._lock:
            for path, entry in self._index.items():
                if entry.series_uid:
                    series.setdefault(entry.series_uid, []).append(path)
        return series

    def _headers_of(self, path: Path) -> Headers:
        """Return what the file says of study and series; nothing where it is gone or broken."""
        entry = self._index[path]
        known = self._headers.get(path)
        if known is None or known[0] != entry:
            try:
                known = entry, _headers(_header(path, _ANSWERED))
            except UnreadableFile:
                known = entry, {}
            self._headers[path] = known
        return known[1]

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
            raise ArchiveRefused(f"{self} holds other content under {target.stem}; nothing is overwritten")
        self._folders.make(target.parent)
        write_durably(target, content)

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


def _is_hidden(below: Path) -> bool:
    return any(part.startswith(".") for part in below.parts)


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


def _headers(dataset: Dataset) -> Headers:
    """Return what the data set says by keyword; what is absent or empty is left out."""
    said = {keyword: dataset.get(keyword) for keyword in (*STUDY_KEYS, *SERIES_KEYS)}
    texts = {keyword: value if isinstance(value, MultiValue) else [value] for keyword, value in said.items() if value}
    return {keyword: values(keyword, found) for keyword, found in texts.items()}


def _header(path: Path, wanted: Sequence[str] = _WANTED) -> Dataset:
    try:
        return dcmread(path, specific_tags=list(wanted), stop_before_pixels=True)
    except Exception as fault:  # noqa: BLE001  # pydicom raises anything at all on broken bytes
        raise UnreadableFile(f"{path} is no DICOM file ({type(fault).__name__})") from None
