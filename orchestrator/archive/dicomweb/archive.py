"""An archive that is asked and fed by DICOMweb (PS3.18): QIDO-RS, WADO-RS, STOW-RS."""

from __future__ import annotations

import logging
import re
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path

from orchestrator.archive.dicomweb.json_model import headers_in, items_in
from orchestrator.archive.dicomweb.wado import bring, files
from orchestrator.archive.http.client import Access, HttpPeer, Params, Session, http_date
from orchestrator.archive.http.multipart import Outgoing
from orchestrator.archive.protocol.dataset import IMPLEMENTATION_CLASS_UID
from orchestrator.archive.protocol.uid import is_uid, printable_uid
from orchestrator.archive.query.changes import changes
from orchestrator.archive.query.fetch import Fetched
from orchestrator.archive.query.identity import ATTRIBUTES, identity_in, identity_of, one_patient
from orchestrator.archive.query.matching import (
    COUNT,
    SERIES_KEYS,
    STUDY_COUNT,
    STUDY_KEYS,
    checked,
    first,
    found_series,
    matches,
)
from orchestrator.domain.errors import ArchiveRefused, ArchiveUnavailable, ObjectRefused, UnreadableFile
from orchestrator.domain.ports import Changes, FoundSeries, Inbox, ObjectReference
from orchestrator.domain.series import Headers, StudyIdentity

_AT_ONCE = 200
_MOST_ANSWERS = 100_000
_JSON = "application/dicom+json"
_ESCAPE_LEFT_OVER = re.compile(r"\$\)?[A-C@]|\([BIJ]")
_FAILED, _OTHER_FAILURES, _STORED = "00081198", "0008119A", "00081199"
_OUT_OF_RESOURCES, _DUPLICATE = 0xA7, 0x0111
_log = logging.getLogger(__name__)


class DicomwebArchive:
    """The archive at a root address, as in https://pacs/dicom-web; each call keeps its connection while it lasts."""

    def __init__(self, name: str, root: str, access: Access) -> None:
        self._peer = HttpPeer(name, root, access)

    @property
    def name(self) -> str:
        """The archive's name in the settings."""
        return self._peer.name

    def echo(self) -> float:
        """Return the seconds that it took to say that it lacks a study that nobody has; DICOMweb has no echo.

        Raises ArchiveUnavailable, ArchiveRefused.
        """
        with self._peer.session() as session:
            start = time.perf_counter()
            self._page(session, "/studies", {"StudyInstanceUID": IMPLEMENTATION_CLASS_UID, "limit": 1})
            return time.perf_counter() - start

    def clock(self) -> datetime | None:
        """Return the time there by the head of an answer (RFC 9110 6.6.1), None where that does not tell.

        Raises ArchiveUnavailable, ArchiveRefused.
        """
        asked: Params = {"StudyInstanceUID": IMPLEMENTATION_CLASS_UID, "limit": 1}
        with self._peer.session() as session, session.stream("GET", "/studies", params=asked) as response:
            return http_date(response.headers.get("Date", ""))

    def identity(self, study_uid: str) -> StudyIdentity | None:
        """Return patient and study as the archive holds them now, None where it lacks the study.

        Raises ArchiveUnavailable, ArchiveRefused (several patients).
        """
        query: Params = {"StudyInstanceUID": study_uid, "includefield": ATTRIBUTES[1:]}
        with self._peer.session() as session:
            # an archive that does not know the key answers with every study
            answers = [
                headers
                for headers in self._answers(session, "/studies", query, "StudyInstanceUID")
                if first(headers, "StudyInstanceUID") == study_uid
            ]
            held = one_patient([identity_of(headers) for headers in answers], self.name, study_uid)
            return self._identity_in_file(session, study_uid) if any(map(_is_doubtful, answers)) else held

    def missing(self, references: Sequence[ObjectReference]) -> frozenset[str]:
        """Return the SOP Instance UIDs that the archive does not hold in that study and series.

        One query for each series. Raises ArchiveUnavailable, ArchiveRefused.
        """
        wanted: dict[tuple[str, str], set[str]] = defaultdict(set)
        for reference in references:
            wanted[reference.study_uid, reference.series_uid].add(reference.sop_uid)
        with self._peer.session() as session:
            absent = [uids - self._held(session, *series) for series, uids in wanted.items()]
        return frozenset().union(*absent)

    def store(self, paths: Sequence[Path]) -> None:
        """Send the files in one request and return when each was answered with success.

        A warning counts as stored and is logged. Raises ArchiveUnavailable, ArchiveRefused.
        """
        if not paths:
            return
        body = Outgoing.of(paths)
        headers = {"Accept": _JSON, **body.headers}
        conflict = frozenset({HTTPStatus.CONFLICT.value})
        with (
            self._peer.session() as session,
            session.stream("POST", "/studies", headers=headers, content=body, accepted=conflict) as response,
        ):
            self._judge(session.read_json(response), response.status_code)

    def find(self, query: Mapping[str, str]) -> Iterator[FoundSeries]:
        """Yield the series that match: keyword of study or series -> value in DICOM's matching (PS3.4 C.2.2.2).

        Raises ArchiveUnavailable, ArchiveRefused (more answers than are taken, too).
        """
        with self._peer.session() as session:
            yield from self._series(session, checked(query))

    def fetch(self, series: FoundSeries, inbox: Inbox) -> int:
        """Bring all instances of the series into the inbox, compressed ones as they are, and return how many.

        Raises ArchiveUnavailable (the answer broke off: what came stays), ArchiveRefused, StorageFull, OSError.
        """
        with self._peer.session() as session, Fetched(str(self), series, inbox) as fetched:
            bring(session, "", series, fetched, str(self))
            count = fetched.count()
        if not count:
            raise ArchiveRefused(f"{self} holds series {series.series_uid} no longer")
        return count

    def changes(self, cursor: str) -> Changes:
        """Return the series of recent studies that came or grew since the cursor; an empty one begins now.

        Raises ArchiveUnavailable, ArchiveRefused (an archive that answers no counts).
        """
        with self._peer.session() as session:
            return changes(_Counted(self, session), cursor)

    def __str__(self) -> str:
        return str(self._peer)

    def _studies(self, session: Session, query: Mapping[str, str]) -> Iterator[Headers]:
        wanted = [key for key in (*STUDY_KEYS, STUDY_COUNT) if key not in query]
        told: Params = {**query, "includefield": wanted}
        for headers in self._answers(session, "/studies", told, "StudyInstanceUID"):
            if is_uid(first(headers, "StudyInstanceUID")) and matches(query, headers):
                yield headers

    def _series(self, session: Session, query: Mapping[str, str]) -> Iterator[FoundSeries]:
        wanted = [key for key in (*STUDY_KEYS, *SERIES_KEYS, COUNT) if key not in query]
        told: Params = {**query, "includefield": wanted}
        for headers in self._answers(session, "/series", told, "SeriesInstanceUID"):
            found = found_series(headers)
            if found is not None and matches(query, headers):
                yield found

    def _answers(
        self, session: Session, path: str, query: Params, unique: str, *, absent: bool = False
    ) -> Iterator[Headers]:
        """Yield the headers of all answers, page by page until one brings nothing new.

        unique: the keyword that tells answers apart. absent: the address may be of nothing that is there.
        """
        seen: set[str] = set()
        offset = 0
        while page := self._page(session, path, {**query, "limit": _AT_ONCE, "offset": offset}, absent=absent):
            fresh = [headers for headers in page if first(headers, unique) not in seen]
            if not fresh:  # it does not know offset, and answers the same again
                return
            yield from fresh
            seen.update(first(headers, unique) for headers in fresh)
            offset += len(page)
            if offset > _MOST_ANSWERS:
                raise ArchiveRefused(f"{self} answers with more than {_MOST_ANSWERS:,}: ask for fewer days at once")

    def _page(self, session: Session, path: str, params: Params, *, absent: bool = False) -> list[Headers]:
        accepted = frozenset({HTTPStatus.NOT_FOUND.value} if absent else ())
        headers = {"Accept": _JSON}
        with session.stream("GET", path, params=params, headers=headers, accepted=accepted) as response:
            if response.status_code == HTTPStatus.NOT_FOUND:
                return []
            answer = session.read_json(response) or []
        if not isinstance(answer, list) or not all(isinstance(each, dict) for each in answer):
            raise ArchiveRefused(f"{self} answers a query with something else than a list of data sets")
        return [headers_in(each) for each in answer]

    def _held(self, session: Session, study_uid: str, series_uid: str) -> set[str]:
        path = f"/studies/{study_uid}/series/{series_uid}/instances"
        asked = {"StudyInstanceUID": study_uid, "SeriesInstanceUID": series_uid}
        answers = self._answers(session, path, {}, "SOPInstanceUID", absent=True)
        return {first(headers, "SOPInstanceUID") for headers in answers if matches(asked, headers)}

    def _identity_in_file(self, session: Session, study_uid: str) -> StudyIdentity:
        """Return what one file of the study says."""
        (instance, *_) = self._page(session, f"/studies/{study_uid}/instances", {"limit": 1}) or [{}]
        series_uid, sop_uid = (first(instance, key) for key in ("SeriesInstanceUID", "SOPInstanceUID"))
        if not is_uid(series_uid) or not is_uid(sop_uid):
            raise ArchiveRefused(f"{self} names no instance of study {study_uid}")
        path = f"/studies/{study_uid}/series/{series_uid}/instances/{sop_uid}"
        with files(session, path, str(self)) as parts:
            for part in parts:
                try:
                    return identity_in(part.pieces)
                except UnreadableFile as fault:
                    raise ArchiveRefused(f"{self}: instance {sop_uid}: {fault}") from None
        raise ArchiveRefused(f"{self} does not hand instance {sop_uid} out")

    def _judge(self, answer: object, code: int) -> None:
        """Pass an answer to STOW-RS that says that everything is there (PS3.18 10.5.3, I.2).

        Raises ArchiveUnavailable, ArchiveRefused.
        """
        told = answer[0] if isinstance(answer, list) and answer else answer
        for item in items_in(told, _STORED):
            if warning := _number(headers_in(item), "WarningReason"):
                _log.warning("%s stored %s with warning %04XH", self, _sop_uid(item), warning)
        failed = [headers_in(item) for item in (*items_in(told, _FAILED), *items_in(told, _OTHER_FAILURES))]
        if not failed and code == HTTPStatus.CONFLICT:
            raise ArchiveRefused(f"{self} stores nothing of what was sent and does not say why")
        # a retry is there already
        refused = [item for item in failed if _number(item, "FailureReason") != _DUPLICATE]
        if not refused:
            return
        reason, uid = _number(refused[0], "FailureReason"), printable_uid(first(refused[0], "ReferencedSOPInstanceUID"))
        if any(_number(item, "FailureReason") >> 8 == _OUT_OF_RESOURCES for item in refused):
            raise ArchiveUnavailable(f"{self} is out of resources for {uid} ({reason:04X}H)")
        said = f"{self} refuses {len(refused)} objects: {uid} with {reason:04X}H"
        raise ObjectRefused(said, first(refused[0], "ReferencedSOPClassUID"))


@dataclass(frozen=True, slots=True)
class _Counted:
    """Implements archive.counts.Counting in one session."""

    archive: DicomwebArchive
    session: Session

    def studies(self, query: Mapping[str, str]) -> Iterator[Headers]:
        return self.archive._studies(self.session, query)

    def series(self, study: Headers) -> Iterator[FoundSeries]:
        return self.archive._series(self.session, {"StudyInstanceUID": first(study, "StudyInstanceUID")})

    def __str__(self) -> str:
        return str(self.archive)


def _is_doubtful(headers: Headers) -> bool:
    """Return whether a name may have lost letters on its way into the answer.

    JSON is UTF-8; an answer that names another character set may have been through it, and Orthanc leaves
    out, without a word, what that lacks. It also leaves bare escapes of ISO 2022 behind.
    """
    in_utf_8 = first(headers, "SpecificCharacterSet") in ("", "ISO_IR 192")
    return not in_utf_8 or _ESCAPE_LEFT_OVER.search(first(headers, "PatientName")) is not None


def _number(headers: Headers, keyword: str) -> int:
    said = first(headers, keyword)
    return int(said) if said.isdecimal() else 0


def _sop_uid(item: Mapping[str, object]) -> str:
    return printable_uid(first(headers_in(item), "ReferencedSOPInstanceUID"))
