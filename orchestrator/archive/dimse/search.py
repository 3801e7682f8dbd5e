"""Which series an archive holds: the study first, then its series (hierarchical search, PS3.4 C.6.2.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from orchestrator.archive.dimse.peer import Peer
from orchestrator.archive.dimse.query import Questions, questions
from orchestrator.archive.protocol.uid import is_uid
from orchestrator.archive.query.matching import (
    COUNT,
    SERIES_KEYS,
    STUDY_COUNT,
    STUDY_KEYS,
    checked,
    first,
    found_series,
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
"""Keys of patient and study (PS3.4 tables C.6-5 and C.6-1, PS3.3 C.7.1.1 to C.7.2.2); all others are of the series."""


def find_series(peer: Peer, query: Mapping[str, str]) -> Iterator[FoundSeries]:
    """Yield the series that match, all asked on one association.

    Raises ArchiveUnavailable, ArchiveRefused (an unknown keyword; too many answers).
    """
    wanted = checked(query)
    of_study = {keyword: value for keyword, value in wanted.items() if keyword in _STUDY_LEVEL}
    of_series = {keyword: value for keyword, value in wanted.items() if keyword not in _STUDY_LEVEL}
    modality = wanted.get("Modality", "")
    if modality and "\\" not in modality:  # a study without the modality has no such series
        of_study.setdefault("ModalitiesInStudy", modality)
    with questions(peer) as asked:
        for study in list(studies(asked, of_study)):
            yield from series_of(asked, study, of_series)


def studies(asked: Questions, query: Mapping[str, str]) -> Iterator[Headers]:
    """Yield the headers of the studies that match, each of them with a Study Instance UID.

    Raises ArchiveUnavailable, ArchiveRefused.
    """
    for headers in asked.headers("STUDY", (*STUDY_KEYS, STUDY_COUNT), query):
        if is_uid(first(headers, "StudyInstanceUID")):
            yield headers


def series_of(asked: Questions, study: Headers, query: Mapping[str, str]) -> Iterator[FoundSeries]:
    """Yield the series of a study that match; their headers are those of study and series.

    Raises ArchiveUnavailable, ArchiveRefused.
    """
    study_uid = first(study, "StudyInstanceUID")
    for headers in asked.headers("SERIES", (*SERIES_KEYS, COUNT), {"StudyInstanceUID": study_uid, **query}):
        found = found_series({**study, **headers, "StudyInstanceUID": (study_uid,)})
        if found is not None:
            yield found


@dataclass(frozen=True, slots=True)
class Counted:
    """Implements archive.counts.Counting on one association."""

    asked: Questions

    def studies(self, query: Mapping[str, str]) -> Iterator[Headers]:
        """Yield the headers of the studies that match."""
        return studies(self.asked, query)

    def series(self, study: Headers) -> Iterator[FoundSeries]:
        """Yield the series of a study."""
        return series_of(self.asked, study, {})

    def __str__(self) -> str:
        return str(self.asked.peer)
