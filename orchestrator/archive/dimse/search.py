"""Searches for series: the studies first, then the series of each (hierarchical search, PS3.4 C.6.2.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from orchestrator.archive.dimse.peer import Peer
from orchestrator.archive.dimse.query import QuerySession, open_queries
from orchestrator.archive.protocol.uid import is_uid
from orchestrator.archive.query.matching import (
    COUNT,
    SERIES_KEYS,
    STUDY_COUNT,
    STUDY_KEYS,
    check_query,
    first,
    series_in,
)
from orchestrator.domain.ports import FoundSeries
from orchestrator.domain.series import Headers

_STUDY_LEVEL = frozenset(STUDY_KEYS) | {
    *("PatientAge", "PatientSize", "PatientWeight", "PatientComments", "EthnicGroup", "Occupation"),
    *("PatientBirthTime", "OtherPatientIDs", "OtherPatientNames", "ResponsiblePerson"),
    *("ReferringPhysicianName", "NameOfPhysiciansReadingStudy", "AdmittingDiagnosesDescription"),
    *("AdditionalPatientHistory", "SOPClassesInStudy", "AnatomicRegionsInStudyCodeSequence"),
    *("NumberOfStudyRelatedSeries", STUDY_COUNT, "NumberOfPatientRelatedStudies"),
}
"""Keys of patient and study (PS3.4 tables C.6-5 and C.6-1, PS3.3 C.7.1.1 to C.7.2.2); all others are series keys."""


def find_series(peer: Peer, query: Mapping[str, str]) -> Iterator[FoundSeries]:
    """Yield the series that match; all queries use one association.

    Raises ArchiveUnavailable, ArchiveRefused (an unknown keyword; too many answers).
    """
    keys = check_query(query)
    study_query = {keyword: value for keyword, value in keys.items() if keyword in _STUDY_LEVEL}
    series_query = {keyword: value for keyword, value in keys.items() if keyword not in _STUDY_LEVEL}
    modality = keys.get("Modality", "")
    if modality and "\\" not in modality:  # a study without the modality has no such series
        study_query.setdefault("ModalitiesInStudy", modality)
    with open_queries(peer) as session:
        for study in list(studies(session, study_query)):
            yield from series_of(session, study, series_query)


def studies(session: QuerySession, query: Mapping[str, str]) -> Iterator[Headers]:
    """Yield the headers of the studies that match, each of them with a Study Instance UID.

    Raises ArchiveUnavailable, ArchiveRefused.
    """
    for headers in session.headers("STUDY", (*STUDY_KEYS, STUDY_COUNT), query):
        if is_uid(first(headers, "StudyInstanceUID")):
            yield headers


def series_of(session: QuerySession, study: Headers, query: Mapping[str, str]) -> Iterator[FoundSeries]:
    """Yield the series of a study that match, with the headers of study and series.

    Raises ArchiveUnavailable, ArchiveRefused.
    """
    study_uid = first(study, "StudyInstanceUID")
    for headers in session.headers("SERIES", (*SERIES_KEYS, COUNT), {"StudyInstanceUID": study_uid, **query}):
        series = series_in({**study, **headers, "StudyInstanceUID": (study_uid,)})
        if series is not None:
            yield series


@dataclass(frozen=True, slots=True)
class DimseIndex:
    """Implements archive.query.changes.StudyIndex on one association."""

    session: QuerySession

    def studies(self, query: Mapping[str, str]) -> Iterator[Headers]:
        """Yield the headers of the studies that match."""
        return studies(self.session, query)

    def series(self, study: Headers) -> Iterator[FoundSeries]:
        """Yield the series of a study."""
        return series_of(self.session, study, {})

    def __str__(self) -> str:
        return str(self.session.peer)
