"""An archive that is accessed by DICOMweb (PS3.18): QIDO-RS, WADO-RS, STOW-RS."""

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
from orchestrator.archive.dicomweb.wado import fetch_series, files
from orchestrator.archive.http.client import Access, HttpPeer, HttpSession, Params, http_date
from orchestrator.archive.http.multipart import MultipartBody
from orchestrator.archive.protocol.dataset import IMPLEMENTATION_CLASS_UID
from orchestrator.archive.protocol.uid import is_uid, printable_uid
from orchestrator.archive.query.changes import changes
from orchestrator.archive.query.fetch import SeriesFetch
from orchestrator.archive.query.identity import ATTRIBUTES, identity_in, identity_of, one_patient
from orchestrator.archive.query.matching import (
    COUNT,
    SERIES_KEYS,
    STUDY_COUNT,
    STUDY_KEYS,
    check_query,
    first,
    matches,
    series_in,
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
    """The archive at a root URL such as https://pacs/dicom-web; each call opens its own connections."""

    def __init__(self, name: str, root: str, access: Access) -> None:
        self._peer = HttpPeer(name, root, access)

    @property
    def name(self) -> str:
        """The archive's name in the settings."""
        return self._peer.name

    def echo(self) -> float:
        """Return the seconds that a query for a study that does not exist took; DICOMweb has no echo.

        Raises ArchiveUnavailable, ArchiveRefused.
        """
        with self._peer.session() as session:
            start = time.perf_counter()
            self._page(session, "/studies", {"StudyInstanceUID": IMPLEMENTATION_CLASS_UID, "limit": 1})
            return time.perf_counter() - start

    def clock(self) -> datetime | None:
        """Return the archive's time from the Date header of an answer (RFC 9110 6.6.1), None where it is absent.

        Raises ArchiveUnavailable, ArchiveRefused.
        """
        query: Params = {"StudyInstanceUID": IMPLEMENTATION_CLASS_UID, "limit": 1}
        with self._peer.session() as session, session.stream("GET", "/studies", params=query) as response:
            return http_date(response.headers.get("Date", ""))

    def identity(self, study_uid: str) -> StudyIdentity | None:
        """Return patient and study as the archive holds them now, None where it lacks the study.

        Raises ArchiveUnavailable, ArchiveRefused (several patients).
        """
        query: Params = {"StudyInstanceUID": study_uid, "includefield": ATTRIBUTES[1:]}
        with self._peer.session() as session:
            # an archive that does not support the key answers with every study
            answers = [
                headers
                for headers in self._answers(session, "/studies", query, "StudyInstanceUID")
                if first(headers, "StudyInstanceUID") == study_uid
            ]
            identity = one_patient([identity_of(headers) for headers in answers], self.name, study_uid)
            return self._identity_in_file(session, study_uid) if any(map(_is_doubtful, answers)) else identity

    def missing(self, references: Sequence[ObjectReference]) -> frozenset[str]:
        """Return the SOP Instance UIDs that the archive does not hold in that study and series.

        One query for each series. Raises ArchiveUnavailable, ArchiveRefused.
        """
        uids_of: dict[tuple[str, str], set[str]] = defaultdict(set)
        for reference in references:
            uids_of[reference.study_uid, reference.series_uid].add(reference.sop_uid)
        with self._peer.session() as session:
            absent = [uids - self._instances(session, *series) for series, uids in uids_of.items()]
        return frozenset().union(*absent)

    def store(self, paths: Sequence[Path]) -> None:
        """Send the files in one request and return when each was answered with success.

        A warning counts as stored and is logged. Raises ArchiveUnavailable, ArchiveRefused.
        """
        if not paths:
            return
        body = MultipartBody.of(paths)
        headers = {"Accept": _JSON, **body.headers}
        conflict = frozenset({HTTPStatus.CONFLICT.value})
        with (
            self._peer.session() as session,
            session.stream("POST", "/studies", headers=headers, content=body, other_codes=conflict) as response,
        ):
            self._check_stored(session.read_json(response), response.status_code)

    def find(self, query: Mapping[str, str]) -> Iterator[FoundSeries]:
        """Yield the series that match: keyword of study or series -> value in DICOM's matching (PS3.4 C.2.2.2).

        Raises ArchiveUnavailable, ArchiveRefused (also for too many answers).
        """
        with self._peer.session() as session:
            yield from self._series(session, check_query(query))

    def fetch(self, series: FoundSeries, inbox: Inbox) -> int:
        """Fetch all instances of the series into the inbox, in their stored transfer syntaxes, and return how many.

        Raises ArchiveUnavailable (incomplete answer; instances received before stay), ArchiveRefused, StorageFull,
        OSError.
        """
        with self._peer.session() as session, SeriesFetch(str(self), series, inbox) as fetch:
            fetch_series(session, "", series, fetch, str(self))
            count = fetch.finish()
        if not count:
            raise ArchiveRefused(f"{self} no longer holds series {series.series_uid}")
        return count

    def changes(self, cursor: str) -> Changes:
        """Return the series of recent studies that are new or grew since the cursor; an empty cursor starts now.

        Raises ArchiveUnavailable, ArchiveRefused (an archive without counts).
        """
        with self._peer.session() as session:
            return changes(_DicomwebIndex(self, session), cursor)

    def __str__(self) -> str:
        return str(self._peer)

    def _studies(self, session: HttpSession, query: Mapping[str, str]) -> Iterator[Headers]:
        keys = [key for key in (*STUDY_KEYS, STUDY_COUNT) if key not in query]
        params: Params = {**query, "includefield": keys}
        for headers in self._answers(session, "/studies", params, "StudyInstanceUID"):
            if is_uid(first(headers, "StudyInstanceUID")) and matches(query, headers):
                yield headers

    def _series(self, session: HttpSession, query: Mapping[str, str]) -> Iterator[FoundSeries]:
        keys = [key for key in (*STUDY_KEYS, *SERIES_KEYS, COUNT) if key not in query]
        params: Params = {**query, "includefield": keys}
        for headers in self._answers(session, "/series", params, "SeriesInstanceUID"):
            series = series_in(headers)
            if series is not None and matches(query, headers):
                yield series

    def _answers(
        self, session: HttpSession, path: str, query: Params, unique: str, *, absent: bool = False
    ) -> Iterator[Headers]:
        """Yield the headers of all answers, page by page until a page has nothing new.

        unique: the keyword that identifies an answer. absent: the path may not exist in the archive.
        """
        uids: set[str] = set()
        offset = 0
        while page := self._page(session, path, {**query, "limit": _AT_ONCE, "offset": offset}, absent=absent):
            fresh = [headers for headers in page if first(headers, unique) not in uids]
            if not fresh:  # the archive ignores offset and repeats its answer
                return
            yield from fresh
            uids.update(first(headers, unique) for headers in fresh)
            offset += len(page)
            if offset > _MOST_ANSWERS:
                raise ArchiveRefused(f"{self} sends more than {_MOST_ANSWERS:,} answers: query fewer days at once")

    def _page(self, session: HttpSession, path: str, params: Params, *, absent: bool = False) -> list[Headers]:
        other_codes = frozenset({HTTPStatus.NOT_FOUND.value} if absent else ())
        headers = {"Accept": _JSON}
        with session.stream("GET", path, params=params, headers=headers, other_codes=other_codes) as response:
            if response.status_code == HTTPStatus.NOT_FOUND:
                return []
            answer = session.read_json(response) or []
        if not isinstance(answer, list) or not all(isinstance(each, dict) for each in answer):
            raise ArchiveRefused(f"{self} does not answer a query with a list of data sets; check the path in its url")
        return [headers_in(each) for each in answer]

    def _instances(self, session: HttpSession, study_uid: str, series_uid: str) -> set[str]:
        path = f"/studies/{study_uid}/series/{series_uid}/instances"
        query = {"StudyInstanceUID": study_uid, "SeriesInstanceUID": series_uid}
        answers = self._answers(session, path, {}, "SOPInstanceUID", absent=True)
        return {first(headers, "SOPInstanceUID") for headers in answers if matches(query, headers)}

    def _identity_in_file(self, session: HttpSession, study_uid: str) -> StudyIdentity:
        """Return patient and study in one file of the study."""
        (instance, *_) = self._page(session, f"/studies/{study_uid}/instances", {"limit": 1}) or [{}]
        series_uid, sop_uid = (first(instance, key) for key in ("SeriesInstanceUID", "SOPInstanceUID"))
        if not is_uid(series_uid) or not is_uid(sop_uid):
            raise ArchiveRefused(f"{self} lists no instance of study {study_uid}")
        path = f"/studies/{study_uid}/series/{series_uid}/instances/{sop_uid}"
        with files(session, path, str(self)) as parts:
            for part in parts:
                try:
                    return identity_in(part.pieces)
                except UnreadableFile as fault:
                    raise ArchiveRefused(f"{self}: instance {sop_uid}: {fault}") from None
        raise ArchiveRefused(f"{self} does not send instance {sop_uid}")

    def _check_stored(self, answer: object, code: int) -> None:
        """Check that an answer to STOW-RS confirms every object (PS3.18 10.5.3, I.2).

        Raises ArchiveUnavailable, ArchiveRefused.
        """
        dataset = answer[0] if isinstance(answer, list) and answer else answer
        for item in items_in(dataset, _STORED):
            if warning := _number(headers_in(item), "WarningReason"):
                _log.warning("%s stored %s with warning %04XH", self, _sop_uid(item), warning)
        failures = [headers_in(item) for item in (*items_in(dataset, _FAILED), *items_in(dataset, _OTHER_FAILURES))]
        if not failures and code == HTTPStatus.CONFLICT:
            raise ArchiveRefused(f"{self} stored no object and gives no reason")
        # after a retry, the archive may hold the object already
        refusals = [item for item in failures if _number(item, "FailureReason") != _DUPLICATE]
        if not refusals:
            return
        reason = _number(refusals[0], "FailureReason")
        uid = printable_uid(first(refusals[0], "ReferencedSOPInstanceUID"))
        if any(_number(item, "FailureReason") >> 8 == _OUT_OF_RESOURCES for item in refusals):
            raise ArchiveUnavailable(f"{self} is out of resources for {uid} ({reason:04X}H)")
        objects = "1 object" if len(refusals) == 1 else f"{len(refusals)} objects"
        text = f"{self} refuses {objects}: {uid} with {reason:04X}H"
        raise ObjectRefused(text, first(refusals[0], "ReferencedSOPClassUID"))


@dataclass(frozen=True, slots=True)
class _DicomwebIndex:
    """Implements archive.query.changes.StudyIndex in one session."""

    archive: DicomwebArchive
    session: HttpSession

    def studies(self, query: Mapping[str, str]) -> Iterator[Headers]:
        return self.archive._studies(self.session, query)

    def series(self, study: Headers) -> Iterator[FoundSeries]:
        return self.archive._series(self.session, {"StudyInstanceUID": first(study, "StudyInstanceUID")})

    def __str__(self) -> str:
        return str(self.archive)


def _is_doubtful(headers: Headers) -> bool:
    """Return whether a name in the answer may have lost characters.

    JSON is UTF-8. Where an answer names another character set, the archive may have converted the name to it, and
    Orthanc silently drops characters that it lacks. Orthanc also leaves escape sequences of ISO 2022 in the text.
    """
    in_utf_8 = first(headers, "SpecificCharacterSet") in ("", "ISO_IR 192")
    return not in_utf_8 or _ESCAPE_LEFT_OVER.search(first(headers, "PatientName")) is not None


def _number(headers: Headers, keyword: str) -> int:
    text = first(headers, keyword)
    return int(text) if text.isdecimal() else 0


def _sop_uid(item: Mapping[str, object]) -> str:
    return printable_uid(first(headers_in(item), "ReferencedSOPInstanceUID"))
