"""An Orthanc server by its REST API. One request lists all changes, so watching it costs almost nothing."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

from orchestrator.archive.dicomweb.wado import fetch_series
from orchestrator.archive.http.client import Access, HttpPeer, HttpSession
from orchestrator.archive.query.fetch import SeriesFetch
from orchestrator.archive.query.identity import identity_in, one_patient
from orchestrator.archive.query.matching import check_query, matches, series_in, values_of
from orchestrator.domain.errors import ArchiveRefused, ArchiveUnavailable, UnreadableFile
from orchestrator.domain.ports import Change, Changes, FoundSeries, Inbox, ObjectReference
from orchestrator.domain.series import StudyIdentity

_AT_ONCE = 100  # series in one request
_CHANGES_AT_ONCE = 200  # each may be of another series, whose answer lists a thousand instances
_FIRST_VERSION = (1, 9, 4)  # has /tools/bulk-content
_LABELS_VERSION = (1, 12, 0)  # older ones ignore labels in a query and answer with everything
_NEW = {"NewInstance", "NewSeries"}  # not StableSeries: silence for StableAge does not prove that a series is complete
_COMPLETE = {"CompletedSeries": "Orthanc reports CompletedSeries: it has as many instances as the headers announce"}
_NO_PLUGIN = frozenset({HTTPStatus.NOT_FOUND.value, HTTPStatus.FORBIDDEN.value})
_PLUGIN_PAGE = re.compile(
    r"\.\.(/[\w./-]+)/app/client/index\.html"
)  # the only place that shows the root in its settings
_STORED = {"Success", "AlreadyStored"}
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _SeriesRecord:
    """A series in this Orthanc. id, instances: Orthanc's own identifiers."""

    id: str
    instances: tuple[str, ...]
    series: FoundSeries


class OrthancArchive:
    """The Orthanc at a root URL such as http://10.0.0.5:8042; each call opens its own connections.

    Patients are read from files and not from Orthanc's index: Orthanc 1.10 loses characters of some character sets.
    """

    def __init__(self, name: str, root: str, access: Access) -> None:
        self._peer = HttpPeer(name, root, access)

    @property
    def name(self) -> str:
        """The archive's name in the settings."""
        return self._peer.name

    def echo(self) -> float:
        """Return the seconds that a request for its version took.

        Raises ArchiveUnavailable, ArchiveRefused.
        """
        with self._peer.session() as session:
            start = time.perf_counter()
            self._version(session)
            return time.perf_counter() - start

    def clock(self) -> datetime | None:
        """Return Orthanc's time, to the second; None where the answer is no time.

        Raises ArchiveUnavailable, ArchiveRefused.
        """
        with self._peer.session() as session, session.stream("GET", "/tools/now") as response:
            text = session.read(response).decode("ascii", "replace")
        try:
            return datetime.strptime(text.strip(), "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
        except ValueError:
            return None

    def identity(self, study_uid: str) -> StudyIdentity | None:
        """Return patient and study from the study's first file, None where Orthanc lacks the study.

        Raises ArchiveUnavailable, ArchiveRefused (several patients).
        """
        with self._peer.session() as session:
            studies = self._find(session, "Study", {"StudyInstanceUID": study_uid}, expand=True)
            identities = [self._identity(session, study["Series"][0]) for study in studies]
        return one_patient([each for each in identities if each.study_uid == study_uid], self.name, study_uid)

    def missing(self, references: Sequence[ObjectReference]) -> frozenset[str]:
        """Return the SOP Instance UIDs that Orthanc does not hold in that study and series.

        One query for each series. Raises ArchiveUnavailable, ArchiveRefused.
        """
        uids_of: dict[tuple[str, str], set[str]] = defaultdict(set)
        for reference in references:
            uids_of[reference.study_uid, reference.series_uid].add(reference.sop_uid)
        with self._peer.session() as session:
            absent = [uids - self._instances(session, *series) for series, uids in uids_of.items()]
        return frozenset().union(*absent)

    def store(self, paths: Sequence[Path]) -> None:
        """Send the files one after the other and return when each was answered with success.

        Raises ArchiveUnavailable, ArchiveRefused, UnreadableFile.
        """
        with self._peer.session() as session:
            for path in paths:
                self._store(session, path)

    def find(self, query: Mapping[str, str]) -> Iterator[FoundSeries]:
        """Yield the series that match: keyword of study or series -> value in DICOM's matching (PS3.4 C.2.2.2).

        ``Labels`` is a keyword too: labels of Orthanc with a backslash between them; a series matches with one of
        them. Raises ArchiveUnavailable, ArchiveRefused (also for labels with an Orthanc before 1.12).
        """
        keys = check_query({keyword: value for keyword, value in query.items() if keyword != "Labels"})
        labels = query.get("Labels", "")
        with self._peer.session() as session:
            self._require(session, _LABELS_VERSION if labels else _FIRST_VERSION)
            ids = self._find(session, "Series", keys, labels=labels)
            for start in range(0, len(ids), _AT_ONCE):
                for record in self._series(session, ids[start : start + _AT_ONCE]):
                    if matches(keys, record.series.headers):
                        yield record.series

    def fetch(self, series: FoundSeries, inbox: Inbox) -> int:
        """Fetch all instances of the series into the inbox, as Orthanc stores them, and return how many.

        Uses the DICOMweb plugin where Orthanc has it: one answer for all files costs both sides less.
        Raises ArchiveUnavailable, ArchiveRefused (the series is absent, or has two patients), StorageFull, OSError.
        """
        with self._peer.session() as session, SeriesFetch(str(self), series, inbox) as fetch:
            instances = self._one_series(session, series)
            if not self._all_at_once(session, series, fetch, len(instances)):
                self._one_by_one(session, instances, fetch)
            return fetch.finish()

    def changes(self, cursor: str) -> Changes:
        """Return the series that got an instance, or became complete, since the cursor; an empty cursor starts now.

        A cursor that does not match Orthanc's list of changes starts with its first change: the server is new.
        Raises ArchiveUnavailable, ArchiveRefused.
        """
        with self._peer.session() as session:
            if not cursor:
                self._require(session, _FIRST_VERSION)
                return Changes((), _cursor(self._read_changes(session, last="")))
            page = self._changes_since(session, cursor)
            series = self._changed_series(session, page["Changes"]) if page["Changes"] else ()
            return Changes(tuple(series), _cursor(page, cursor), more=not page["Done"])

    def __str__(self) -> str:
        return str(self._peer)

    def _all_at_once(self, session: HttpSession, series: FoundSeries, fetch: SeriesFetch, count: int) -> bool:
        """Fetch the series by the DICOMweb plugin; return False where there is no plugin or it refuses.

        The files are counted, because a complete answer may still lack some of them.
        Raises ArchiveUnavailable, StorageFull, OSError.
        """
        if not (root := self._dicomweb(session)):
            return False
        try:
            arrivals = fetch_series(session, root, series, fetch, str(self))
        except ArchiveRefused as fault:
            _log.info("DICOMweb plugin not used: %s; fetching the files one by one", fault)
            return False
        if 0 < arrivals < count:
            raise ArchiveUnavailable(f"{self} sent {arrivals} of the {count} images of series {series.series_uid}")
        return arrivals > 0

    def _one_by_one(self, session: HttpSession, instances: Sequence[str], fetch: SeriesFetch) -> None:
        def fetch_file(instance: str) -> None:
            with session.stream("GET", f"/instances/{instance}/file") as response:
                fetch.file(response.iter_raw())

        for instance in instances:
            fetch.run(fetch_file, instance)

    def _dicomweb(self, session: HttpSession) -> str:
        """Return the path of the DICOMweb plugin, empty where Orthanc has none or this user must not see it."""
        with session.stream("GET", "/plugins/dicom-web", other_codes=_NO_PLUGIN) as response:
            plugin = session.read_json(response) if response.is_success else None
        page = _PLUGIN_PAGE.fullmatch(str(plugin.get("RootUri", ""))) if isinstance(plugin, dict) else None
        return page[1] if page else ""

    def _changes_since(self, session: HttpSession, cursor: str) -> dict[str, Any]:
        """Return the changes after the cursor; also request the change of the cursor, to check that it is the same."""
        number, resource = self._read(cursor)
        page = self._read_changes(session, since=max(0, number - 1), limit=_CHANGES_AT_ONCE + 1)
        changes = page["Changes"]
        last = changes[0] if changes and changes[0]["Seq"] == number else None
        is_other = last is not None and last["ID"] != resource
        if is_other or (page["Last"] < number and self._read_changes(session, last="")["Last"] < number):
            _log.warning("%s restarted its list of changes (server set up again?); reading all its changes", self)
            return self._read_changes(session, since=0, limit=_CHANGES_AT_ONCE)
        return page | {"Changes": changes[1:] if last else changes, "Last": max(number, page["Last"])}

    def _read(self, cursor: str) -> tuple[int, str]:
        number, _, resource = cursor.partition(" ")
        if not number.isdecimal():
            raise ArchiveRefused(f"{self}: the cursor of the last poll is invalid; start again without a cursor")
        return int(number), resource

    def _changed_series(self, session: HttpSession, changes: Sequence[Mapping[str, Any]]) -> Iterator[Change]:
        """Yield each series once, with its last change."""
        relevant = [change for change in changes if change["ChangeType"] in {*_NEW, *_COMPLETE}]
        records = self._series(session, list(dict.fromkeys(change["ID"] for change in relevant)))
        series_of = {id_: each.id for each in records for id_ in (each.id, *each.instances)}
        complete = {series_of.get(change["ID"], ""): _COMPLETE.get(change["ChangeType"], "") for change in relevant}
        return (Change(each.series, complete[each.id]) for each in records)

    def _series(self, session: HttpSession, ids: Sequence[str]) -> list[_SeriesRecord]:
        """Return the series for identifiers of series or instances, without those deleted meanwhile."""
        if not ids:
            return []
        series = self._read_resources(session, ids, "Series")
        studies = self._read_resources(session, list({each["ParentStudy"] for each in series}), "Study")
        study_of = {study["ID"]: study for study in studies}
        records = (_record(each, study_of.get(each["ParentStudy"])) for each in series)
        return [record for record in records if record is not None]

    def _read_resources(self, session: HttpSession, ids: Sequence[str], level: str) -> list[dict[str, Any]]:
        body = {"Resources": list(ids), "Level": level, "Metadata": False}
        return _check_list(self, session.json("POST", "/tools/bulk-content", body=body))

    def _find(
        self, session: HttpSession, level: str, query: Mapping[str, str], *, expand: bool = False, labels: str = ""
    ) -> list[Any]:
        """Return Orthanc's identifiers of the matches or, with ``expand``, their contents."""
        body: dict[str, object] = {"Level": level, "Query": dict(query), "Expand": expand}
        if labels:
            body |= {"Labels": labels.split("\\"), "LabelsConstraint": "Any"}
        return _check_list(self, session.json("POST", "/tools/find", body=body))

    def _read_changes(self, session: HttpSession, **params: str | int) -> dict[str, Any]:
        answer = session.json("GET", "/changes", params=params)
        if not isinstance(answer, dict) or not {"Changes", "Done", "Last"} <= answer.keys():
            raise ArchiveRefused(f"{self} does not answer with a list of changes; check the path in its url")
        return answer

    def _instances(self, session: HttpSession, study_uid: str, series_uid: str) -> set[str]:
        query = {"StudyInstanceUID": study_uid, "SeriesInstanceUID": series_uid}
        instances = self._find(session, "Instance", query, expand=True)
        return {each["MainDicomTags"].get("SOPInstanceUID", "") for each in instances}

    def _one_series(self, session: HttpSession, series: FoundSeries) -> list[str]:
        """Return Orthanc's identifiers of the instances of the series."""
        query = {"StudyInstanceUID": series.study_uid, "SeriesInstanceUID": series.series_uid}
        resources = self._find(session, "Series", query, expand=True)
        if not resources:
            raise ArchiveRefused(f"{self} no longer holds series {series.series_uid}")
        if len(resources) > 1:
            patients = f"{len(resources)} patients: correct the series in the archive"
            raise ArchiveRefused(f"{self} holds series {series.series_uid} under {patients}")
        return list(resources[0]["Instances"])

    def _identity(self, session: HttpSession, series: str) -> StudyIdentity:
        """Return patient and study from the first file of a series; only the start of the file is read."""
        (instance, *_) = session.json("GET", f"/series/{series}")["Instances"]
        with session.stream("GET", f"/instances/{instance}/file") as response:
            try:
                return identity_in(response.iter_raw())
            except UnreadableFile as fault:
                raise ArchiveRefused(f"{self}: file of instance {instance}: {fault}") from None

    def _store(self, session: HttpSession, path: Path) -> None:
        headers = {"Content-Type": "application/dicom", "Accept": "application/json"}
        with path.open("rb") as file, session.stream("POST", "/instances", headers=headers, content=file) as response:
            answer = session.read_json(response)
        status = answer.get("Status", "") if isinstance(answer, dict) else ""
        if status not in _STORED:
            raise ArchiveRefused(f"{self} did not store {path.name}: it answers {status or 'nothing'}")

    def _require(self, session: HttpSession, minimum: tuple[int, ...]) -> None:
        version = self._version(session)
        if version < minimum:
            own, least = (".".join(map(str, numbers)) for numbers in (version, minimum))
            raise ArchiveRefused(f"{self} is Orthanc {own}; this request needs {least} or newer: update Orthanc")

    def _version(self, session: HttpSession) -> tuple[int, ...]:
        """Return the three numbers of the version; a version without numbers is a build of the newest sources."""
        answer = session.json("GET", "/system")
        if not isinstance(answer, dict) or "Version" not in answer:
            raise ArchiveRefused(f"{self} is not an Orthanc: its answer has no version; check its url")
        numbers = _VERSION.match(str(answer["Version"]))
        return tuple(map(int, numbers.groups())) if numbers else (sys.maxsize,)


def _record(series: Mapping[str, Any], study: Mapping[str, Any] | None) -> _SeriesRecord | None:
    """Return the record of a series and its study, None where a UID is invalid or the study was deleted meanwhile."""
    if study is None:
        return None
    tags = {**study.get("PatientMainDicomTags", {}), **study["MainDicomTags"], **series["MainDicomTags"]}
    headers = {keyword: items for keyword, text in tags.items() if (items := values_of(keyword, text))}
    if labels := series.get("Labels"):
        headers["Labels"] = tuple(labels)
    instances = tuple(series["Instances"])
    result = series_in(headers, len(instances))
    return _SeriesRecord(series["ID"], instances, result) if result else None


def _cursor(page: Mapping[str, Any], previous: str = "0") -> str:
    """Return the cursor for the next poll: number and resource of the last change."""
    if page["Changes"]:
        last = page["Changes"][-1]
        return f"{last['Seq']} {last['ID']}"
    return previous if 0 < int(previous.split()[0]) <= page["Last"] else str(page["Last"])


def _check_list(archive: object, answer: object) -> list[Any]:
    if not isinstance(answer, list):
        raise ArchiveRefused(f"{archive} does not answer with a list; check the path in its url")
    return answer
