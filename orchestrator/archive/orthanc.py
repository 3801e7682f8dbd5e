"""An Orthanc, asked by its own REST API: one request tells what is new, so that watching it costs next to nothing."""

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

from orchestrator.archive.dicomweb.wado import bring
from orchestrator.archive.http.client import Access, HttpPeer, Session
from orchestrator.archive.query.fetch import Fetched
from orchestrator.archive.query.identity import identity_in, one_patient
from orchestrator.archive.query.matching import checked, found_series, matches, values_of
from orchestrator.domain.errors import ArchiveRefused, ArchiveUnavailable, UnreadableFile
from orchestrator.domain.ports import Change, Changes, FoundSeries, Inbox, ObjectReference
from orchestrator.domain.series import StudyIdentity

_AT_ONCE = 100  # series in one question
_CHANGES_AT_ONCE = 200  # each may be of another series with a thousand instances to name
_FIRST_VERSION = (1, 9, 4)  # has /tools/bulk-content
_LABELS_VERSION = (1, 12, 0)  # an older one ignores labels in a question and answers with everything
_NEW = {"NewInstance", "NewSeries"}  # not StableSeries: silence for its StableAge is no news and proves nothing
_COMPLETE = {"CompletedSeries": "Orthanc says CompletedSeries: as many instances came as their headers announce"}
_NO_PLUGIN = frozenset({HTTPStatus.NOT_FOUND.value, HTTPStatus.FORBIDDEN.value})
_PLUGIN_PAGE = re.compile(r"\.\.(/[\w./-]+)/app/client/index\.html")  # its root can be set, and is told only so
_STORED = {"Success", "AlreadyStored"}
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Held:
    """A series as this Orthanc holds it, under its own names for series and instances."""

    id: str
    instances: tuple[str, ...]
    found: FoundSeries


class OrthancArchive:
    """The Orthanc at a root address, as in http://10.0.0.5:8042; each call keeps its connection while it lasts.

    Its own index is not asked who a patient is: Orthanc 1.10 loses letters of some character sets there.
    """

    def __init__(self, name: str, root: str, access: Access) -> None:
        self._peer = HttpPeer(name, root, access)

    @property
    def name(self) -> str:
        """The archive's name in the settings."""
        return self._peer.name

    def echo(self) -> float:
        """Return the seconds that it took to say its version.

        Raises ArchiveUnavailable, ArchiveRefused.
        """
        with self._peer.session() as session:
            start = time.perf_counter()
            self._version(session)
            return time.perf_counter() - start

    def clock(self) -> datetime | None:
        """Return the time there, to the second.

        Raises ArchiveUnavailable, ArchiveRefused.
        """
        with self._peer.session() as session, session.stream("GET", "/tools/now") as response:
            told = session.read(response).decode("ascii", "replace")
        try:
            return datetime.strptime(told.strip(), "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
        except ValueError:
            return None

    def identity(self, study_uid: str) -> StudyIdentity | None:
        """Return patient and study as the study's first file has them, None where it lacks the study.

        Raises ArchiveUnavailable, ArchiveRefused (several patients).
        """
        with self._peer.session() as session:
            studies = self._ask(session, "Study", {"StudyInstanceUID": study_uid}, expand=True)
            held = [self._identity(session, study["Series"][0]) for study in studies]
        return one_patient([found for found in held if found.study_uid == study_uid], self.name, study_uid)

    def missing(self, references: Sequence[ObjectReference]) -> frozenset[str]:
        """Return the SOP Instance UIDs that it does not hold in that study and series.

        One question for each series. Raises ArchiveUnavailable, ArchiveRefused.
        """
        wanted: dict[tuple[str, str], set[str]] = defaultdict(set)
        for reference in references:
            wanted[reference.study_uid, reference.series_uid].add(reference.sop_uid)
        with self._peer.session() as session:
            absent = [uids - self._instances(session, *series) for series, uids in wanted.items()]
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

        ``Labels`` is a keyword as well: one or more labels of Orthanc with a backslash between them, one of which
        the series has. Raises ArchiveUnavailable, ArchiveRefused (labels of an Orthanc before 1.12, too).
        """
        asked = checked({keyword: value for keyword, value in query.items() if keyword != "Labels"})
        labels = query.get("Labels", "")
        with self._peer.session() as session:
            self._require(session, _LABELS_VERSION if labels else _FIRST_VERSION)
            ids = self._ask(session, "Series", asked, labels=labels)
            for start in range(0, len(ids), _AT_ONCE):
                for held in self._series(session, ids[start : start + _AT_ONCE]):
                    if matches(asked, held.found.headers):
                        yield held.found

    def fetch(self, series: FoundSeries, inbox: Inbox) -> int:
        """Bring all instances of the series into the inbox, as the files that Orthanc keeps, and return how many.

        By its DICOMweb plugin where it has that: one answer with all of them costs both sides less than one each.
        Raises ArchiveUnavailable, ArchiveRefused (it is not there, or there for two patients), StorageFull, OSError.
        """
        with self._peer.session() as session, Fetched(str(self), series, inbox) as fetched:
            instances = self._one_series(session, series)
            if not self._all_at_once(session, series, fetched, len(instances)):
                self._one_by_one(session, instances, fetched)
            return fetched.count()

    def changes(self, cursor: str) -> Changes:
        """Return the series that took an instance, or became complete, since the cursor; an empty one begins now.

        A cursor that is not of this Orthanc's changes begins with the first of them: it was set up anew.
        Raises ArchiveUnavailable, ArchiveRefused.
        """
        with self._peer.session() as session:
            if not cursor:
                self._require(session, _FIRST_VERSION)
                return Changes((), _cursor(self._ask_changes(session, last="")))
            page = self._since(session, cursor)
            series = self._changed(session, page["Changes"]) if page["Changes"] else ()
            return Changes(tuple(series), _cursor(page, cursor), more=not page["Done"])

    def __str__(self) -> str:
        return str(self._peer)

    def _all_at_once(self, session: Session, series: FoundSeries, fetched: Fetched, count: int) -> bool:
        """Return whether the plugin handed the series out; where it refuses to, nothing has come.

        What came is counted, for the answer's end alone does not say that it was all of them.
        Raises ArchiveUnavailable, StorageFull, OSError.
        """
        if not (root := self._dicomweb(session)):
            return False
        try:
            came = bring(session, root, series, fetched, str(self))
        except ArchiveRefused as fault:
            _log.info("%s: its DICOMweb plugin is not used: %s", self, fault)
            return False
        if 0 < came < count:
            raise ArchiveUnavailable(f"{self} handed out {came} of the {count} images of series {series.series_uid}")
        return came > 0

    def _one_by_one(self, session: Session, instances: Sequence[str], fetched: Fetched) -> None:
        def one(instance: str) -> None:
            with session.stream("GET", f"/instances/{instance}/file") as response:
                fetched.file(response.iter_raw())

        for instance in instances:
            fetched.run(one, instance)

    def _dicomweb(self, session: Session) -> str:
        """Return the path of its DICOMweb plugin, empty where it has none or does not let this user know."""
        with session.stream("GET", "/plugins/dicom-web", accepted=_NO_PLUGIN) as response:
            told = session.read_json(response) if response.is_success else None
        page = _PLUGIN_PAGE.fullmatch(str(told.get("RootUri", ""))) if isinstance(told, dict) else None
        return page[1] if page else ""

    def _since(self, session: Session, cursor: str) -> dict[str, Any]:
        """Return the changes behind the cursor; the change that it names is asked for too, to know it again."""
        number, resource = self._read(cursor)
        page = self._ask_changes(session, since=max(0, number - 1), limit=_CHANGES_AT_ONCE + 1)
        news = page["Changes"]
        named = news[0] if news and news[0]["Seq"] == number else None
        other = named is not None and named["ID"] != resource
        if other or (page["Last"] < number and self._ask_changes(session, last="")["Last"] < number):
            _log.warning("%s counts its changes anew, so it was set up anew: all that it tells is looked at", self)
            return self._ask_changes(session, since=0, limit=_CHANGES_AT_ONCE)
        return page | {"Changes": news[1:] if named else news, "Last": max(number, page["Last"])}

    def _read(self, cursor: str) -> tuple[int, str]:
        number, _, resource = cursor.partition(" ")
        if not number.isdecimal():
            raise ArchiveRefused(f"{self}: the place where the last look ended is not one of its own; begin anew")
        return int(number), resource

    def _changed(self, session: Session, news: Sequence[Mapping[str, Any]]) -> Iterator[Change]:
        """Yield each series once, with the last word that was said about its end."""
        told = [change for change in news if change["ChangeType"] in {*_NEW, *_COMPLETE}]
        held = self._series(session, list(dict.fromkeys(change["ID"] for change in told)))
        series_of = {name: each.id for each in held for name in (each.id, *each.instances)}
        complete = {series_of.get(change["ID"], ""): _COMPLETE.get(change["ChangeType"], "") for change in told}
        return (Change(each.found, complete[each.id]) for each in held)

    def _series(self, session: Session, ids: Sequence[str]) -> list[_Held]:
        """Return the series that are named or hold a named instance; what was deleted meanwhile is left out."""
        if not ids:
            return []
        series = self._described(session, ids, "Series")
        studies = self._described(session, list({each["ParentStudy"] for each in series}), "Study")
        study_of = {study["ID"]: study for study in studies}
        return [held for each in series if (held := _held(each, study_of.get(each["ParentStudy"]))) is not None]

    def _described(self, session: Session, ids: Sequence[str], level: str) -> list[dict[str, Any]]:
        body = {"Resources": list(ids), "Level": level, "Metadata": False}
        return _listed(self, session.json("POST", "/tools/bulk-content", body=body))

    def _ask(
        self, session: Session, level: str, query: Mapping[str, str], *, expand: bool = False, labels: str = ""
    ) -> list[Any]:
        """Return what matches: Orthanc's own names for it or, expanded, what it says of each."""
        body: dict[str, object] = {"Level": level, "Query": dict(query), "Expand": expand}
        if labels:
            body |= {"Labels": labels.split("\\"), "LabelsConstraint": "Any"}
        return _listed(self, session.json("POST", "/tools/find", body=body))

    def _ask_changes(self, session: Session, **which: str | int) -> dict[str, Any]:
        answer = session.json("GET", "/changes", params=which)
        if not isinstance(answer, dict) or not {"Changes", "Done", "Last"} <= answer.keys():
            raise ArchiveRefused(f"{self} answers for its changes with what is no list of them")
        return answer

    def _instances(self, session: Session, study_uid: str, series_uid: str) -> set[str]:
        query = {"StudyInstanceUID": study_uid, "SeriesInstanceUID": series_uid}
        held = self._ask(session, "Instance", query, expand=True)
        return {each["MainDicomTags"].get("SOPInstanceUID", "") for each in held}

    def _one_series(self, session: Session, series: FoundSeries) -> list[str]:
        """Return Orthanc's own names for the instances of the series."""
        query = {"StudyInstanceUID": series.study_uid, "SeriesInstanceUID": series.series_uid}
        held = self._ask(session, "Series", query, expand=True)
        if len(held) != 1:
            how = f"under {len(held)} patients: somebody has to put that right there" if held else "no longer"
            raise ArchiveRefused(f"{self} holds series {series.series_uid} {how}")
        return list(held[0]["Instances"])

    def _identity(self, session: Session, series: str) -> StudyIdentity:
        """Return what the first file of a series says; as much of it is read as that takes."""
        (instance, *_) = session.json("GET", f"/series/{series}")["Instances"]
        with session.stream("GET", f"/instances/{instance}/file") as response:
            try:
                return identity_in(response.iter_raw())
            except UnreadableFile as fault:
                raise ArchiveRefused(f"{self}: the file of instance {instance}: {fault}") from None

    def _store(self, session: Session, path: Path) -> None:
        headers = {"Content-Type": "application/dicom", "Accept": "application/json"}
        with path.open("rb") as file, session.stream("POST", "/instances", headers=headers, content=file) as response:
            answer = session.read_json(response)
        status = answer.get("Status", "") if isinstance(answer, dict) else ""
        if status not in _STORED:
            raise ArchiveRefused(f"{self} does not keep {path.name}: it answers {status or 'nothing'}")

    def _require(self, session: Session, needed: tuple[int, ...]) -> None:
        version = self._version(session)
        if version < needed:
            written, least = (".".join(map(str, numbers)) for numbers in (version, needed))
            raise ArchiveRefused(f"{self} is Orthanc {written}; to be asked this it has to be {least} or newer")

    def _version(self, session: Session) -> tuple[int, ...]:
        """Return the version's three numbers; one that has none was built from the newest sources."""
        answer = session.json("GET", "/system")
        if not isinstance(answer, dict) or "Version" not in answer:
            raise ArchiveRefused(f"{self} is no Orthanc: it does not say its version")
        numbers = _VERSION.match(str(answer["Version"]))
        return tuple(map(int, numbers.groups())) if numbers else (sys.maxsize,)


def _held(series: Mapping[str, Any], study: Mapping[str, Any] | None) -> _Held | None:
    """Return what Orthanc says of a series and its study, None where it lacks a UID or was deleted meanwhile."""
    if study is None:
        return None
    tags = {**study.get("PatientMainDicomTags", {}), **study["MainDicomTags"], **series["MainDicomTags"]}
    headers = {keyword: told for keyword, text in tags.items() if (told := values_of(keyword, text))}
    if labels := series.get("Labels"):
        headers["Labels"] = tuple(labels)
    instances = tuple(series["Instances"])
    found = found_series(headers, len(instances))
    return _Held(series["ID"], instances, found) if found else None


def _cursor(page: Mapping[str, Any], before: str = "0") -> str:
    """Return where the next look begins: the number of the last change and whose it was, to know it again."""
    if page["Changes"]:
        last = page["Changes"][-1]
        return f"{last['Seq']} {last['ID']}"
    return before if 0 < int(before.split()[0]) <= page["Last"] else str(page["Last"])


def _listed(archive: object, answer: object) -> list[Any]:
    if not isinstance(answer, list):
        raise ArchiveRefused(f"{archive} answers with something else than a list; check the path in its url")
    return answer
