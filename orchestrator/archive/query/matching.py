"""What an archive answers for: kept where it is what was asked for, left out where it shows that it is not."""

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
"""What is asked for of a study and a series beside what a query names."""

COUNT, STUDY_COUNT = "NumberOfSeriesRelatedInstances", "NumberOfStudyRelatedInstances"

_INTEGERS = frozenset({"IS", "SL", "SS", "UL", "US", "SV", "UV"})
_NUMBERS = frozenset({"DS", "FL", "FD"})
_ONE_TEXT = frozenset({"LT", "ST", "UT", "UR"})  # a backslash is a character there
_COMPARED = frozenset({"UI", "DA", "CS", "LO", "SH", "AE"})  # not PN and times: many ways of matching are right there


def checked(query: Mapping[str, str]) -> dict[str, str]:
    """Return the query as it is where each keyword is one of DICOM's.

    Raises ArchiveRefused.
    """
    unknown = [keyword for keyword in query if tag_for_keyword(keyword) is None]
    if unknown:
        raise ArchiveRefused(f"{', '.join(unknown)}: DICOM has no such keyword, so no archive can be asked for it")
    return dict(query)


def values(keyword: str, texts: Iterable[object]) -> tuple[HeaderValue, ...]:
    """Return an attribute's values: numbers where its VR is one of numbers, else text; nothing for what is neither."""
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
    """Return the values of an attribute that is written as DICOM writes it, a backslash between them."""
    vr = dictionary_VR(keyword) if tag_for_keyword(keyword) else "UN"
    return values(keyword, text.split("\\") if vr not in _ONE_TEXT else [text]) if text and vr != "UN" else ()


def found_series(headers: Headers, count: int | None = None) -> FoundSeries | None:
    """Return the series that the headers are of, None where they name none."""
    study_uid, series_uid = (first(headers, key) for key in ("StudyInstanceUID", "SeriesInstanceUID"))
    if not is_uid(study_uid) or not is_uid(series_uid):
        return None
    said = count if count is not None else first(headers, COUNT)
    return FoundSeries(study_uid, series_uid, headers, int(said) if str(said).isdecimal() else None)


def first(headers: Headers, keyword: str) -> str:
    """Return the first value as text, empty where there is none."""
    return str(next(iter(headers.get(keyword, ())), ""))


def matches(query: Mapping[str, str], headers: Headers) -> bool:
    """Return False where the headers show that they are not of what was asked for (PS3.4 C.2.2.2).

    An attribute that is absent shows nothing. Names of persons and times are not judged: archives may
    ignore accents, order and precision there.
    """
    return all(
        _matches(dictionary_VR(keyword), wanted, headers[keyword])
        for keyword, wanted in query.items()
        if wanted and any(headers.get(keyword, ())) and dictionary_VR(keyword) in _COMPARED
    )


def _matches(vr: str, wanted: str, held: Sequence[HeaderValue]) -> bool:
    texts = [str(value) for value in held]
    if not all(map(str.isascii, texts)):  # an archive may answer in a character set that lost some of them
        return True
    if vr == "DA":
        return any(_in_range(text, wanted) for text in texts)
    patterns = wanted.split("\\")
    if vr == "UI":
        return not set(patterns).isdisjoint(texts)
    # a bracket is a letter here and a set of letters there
    patterns = [pattern.strip().casefold().replace("[", "[[]") for pattern in patterns]
    return any(fnmatchcase(text.casefold(), pattern) for text in texts for pattern in patterns)


def _in_range(day: str, wanted: str) -> bool:
    low, dash, high = wanted.partition("-")
    return (not low or low <= day) and (not high or day <= high) if dash else day == wanted
