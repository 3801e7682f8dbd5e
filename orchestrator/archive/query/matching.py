"""Checks queries, converts the values of answers, and drops answers that do not match the query."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from pydicom.datadict import dictionary_VR, tag_for_keyword

from orchestrator.archive.protocol.uid import is_uid
from orchestrator.domain.errors import ArchiveRefused
from orchestrator.domain.ports import FoundSeries
from orchestrator.domain.series import Headers, HeaderValue

STUDY_KEYS = (
    *("StudyInstanceUID", "StudyDate", "StudyTime", "StudyDescription", "StudyID", "AccessionNumber"),
    *("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex", "ModalitiesInStudy"),
)
SERIES_KEYS = (
    *("SeriesInstanceUID", "Modality", "SeriesNumber", "SeriesDescription", "SeriesDate", "SeriesTime"),
    *("BodyPartExamined", "ProtocolName", "Laterality", "Manufacturer", "StationName", "InstitutionName"),
)
"""Return keys of each query for studies and series, in addition to the keywords of the query."""

COUNT, STUDY_COUNT = "NumberOfSeriesRelatedInstances", "NumberOfStudyRelatedInstances"

_INTEGERS = frozenset({"IS", "SL", "SS", "UL", "US", "SV", "UV"})
_NUMBERS = frozenset({"DS", "FL", "FD"})
_ONE_TEXT = frozenset({"LT", "ST", "UT", "UR"})  # a backslash is part of the text
_MATCHING_VRS = frozenset({"UI", "DA", "CS", "LO", "SH", "AE"})  # PN and times may be matched in several correct ways


def check_query(query: Mapping[str, str]) -> dict[str, str]:
    """Return a copy of the query; each keyword must be a DICOM keyword.

    Raises ArchiveRefused.
    """
    unknown = [keyword for keyword in query if tag_for_keyword(keyword) is None]
    if unknown:
        raise ArchiveRefused(f"{', '.join(unknown)}: DICOM has no such keyword; correct the query")
    return dict(query)


def values(keyword: str, texts: Iterable[object]) -> tuple[HeaderValue, ...]:
    """Return the values of an attribute: numbers for a numeric VR, else text. Invalid numbers give no values."""
    vr = dictionary_VR(keyword)
    try:
        if vr in _INTEGERS:
            return tuple(int(str(text)) for text in texts)
        if vr in _NUMBERS:
            return tuple(float(str(text)) for text in texts)
    except ValueError:
        return ()
    return tuple(str(text).strip(" \0") for text in texts)


def values_of(keyword: str, text: str) -> tuple[HeaderValue, ...]:
    """Return the values of an attribute in DICOM's notation, with a backslash between values."""
    vr = dictionary_VR(keyword) if tag_for_keyword(keyword) else "UN"
    return values(keyword, text.split("\\") if vr not in _ONE_TEXT else [text]) if text and vr != "UN" else ()


def series_in(headers: Headers, count: int | None = None) -> FoundSeries | None:
    """Return the series of the headers, None where they have no valid UIDs."""
    study_uid, series_uid = (first(headers, key) for key in ("StudyInstanceUID", "SeriesInstanceUID"))
    if not is_uid(study_uid) or not is_uid(series_uid):
        return None
    number = str(count if count is not None else first(headers, COUNT))
    return FoundSeries(study_uid, series_uid, headers, int(number) if number.isdecimal() else None)


def first(headers: Headers, keyword: str) -> str:
    """Return the first value as text, empty where the attribute is absent."""
    return str(next(iter(headers.get(keyword, ())), ""))


def matches(query: Mapping[str, str], headers: Headers) -> bool:
    """Return False where the headers do not match the query (PS3.4 C.2.2.2).

    Absent attributes match. Person names and times always match: archives may ignore accents, order and precision.
    """
    return all(
        _matches(dictionary_VR(keyword), value, headers[keyword])
        for keyword, value in query.items()
        if value and any(headers.get(keyword, ())) and dictionary_VR(keyword) in _MATCHING_VRS
    )


def _matches(vr: str, query: str, contents: Sequence[HeaderValue]) -> bool:
    texts = [str(value) for value in contents]
    if not all(map(str.isascii, texts)):  # the character set of the answer may have lost some characters
        return True
    if vr == "DA":
        return any(_in_range(text, query) for text in texts)
    patterns = query.split("\\")
    if vr == "UI":
        return not set(patterns).isdisjoint(texts)
    # "[" is a character in DICOM, and the start of a set in fnmatch
    patterns = [pattern.strip().casefold().replace("[", "[[]") for pattern in patterns]
    return any(fnmatchcase(text.casefold(), pattern) for text in texts for pattern in patterns)


def _in_range(day: str, query: str) -> bool:
    low, dash, high = query.partition("-")
    return (not low or low <= day) and (not high or day <= high) if dash else day == query
