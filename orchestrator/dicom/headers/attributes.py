"""Reads attributes of a header as plain Python values: numbers, text, no binary data."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import cast

from pydicom import Dataset
from pydicom.charset import decode_bytes
from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.tag import BaseTag
from pydicom.valuerep import TEXT_VR_DELIMS

from orchestrator.domain.series import Headers, HeaderValue, Plane

Values = dict[str, tuple[HeaderValue, ...]]

LONGEST_TEXT = 256
MOST_VALUES = 256
_LEFT_OUT = frozenset({"AT", "OB", "OD", "OF", "OL", "OV", "OW", "SQ", "UN", "OB or OW", "US or OW", "US or SS or OW"})
_REPEATING_GROUPS = range(0x5000, 0x6100)  # curves and overlays, PS3.5 7.6

_PATIENT_GROUP = 0x0010
_OF_OBJECT = frozenset(
    tag_for_keyword(keyword)
    for keyword in (
        *("SpecificCharacterSet", "TimezoneOffsetFromUTC", "SOPClassUID", "SOPInstanceUID", "InstanceNumber"),
        *("InstanceCreationDate", "InstanceCreationTime", "InstanceCreatorUID", "Modality"),
        *("StudyInstanceUID", "StudyID", "StudyDate", "StudyTime", "StudyDescription", "AccessionNumber"),
        *("IssuerOfAccessionNumberSequence", "ReferringPhysicianName", "SeriesInstanceUID", "SeriesNumber"),
        *("SeriesDate", "SeriesTime", "SeriesDescription", "FrameOfReferenceUID", "ContentQualification"),
        *("NumberOfFrames", "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration"),
        *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    )
)

VIEW_POSITIONS = {
    **{"399368009": "MLO", "399260004": "ML", "399352003": "LM", "399099002": "LMO", "399162004": "CC"},
    **{"399196006": "FB", "399188001": "SIO", "441555000": "ISO", "399192008": "XCCL", "399101009": "XCCM"},
    **{"R-10226": "MLO", "R-10224": "ML", "R-10228": "LM", "R-10230": "LMO", "R-10242": "CC"},
    **{"R-10244": "FB", "R-102D0": "SIO", "R-40AAA": "ISO", "R-1024A": "XCCL", "R-1024B": "XCCM"},
    **{"272479007": "PA", "399348003": "AP", "399173006": "LL", "399198007": "RL"},
    **{"R-10214": "PA", "R-10206": "AP", "R-10236": "LL", "R-10232": "RL"},
}
"""View code, SNOMED CT or as SNOMED RT wrote it -> View Position (PS3.16 CID 4014, PS3.3 C.8.1.1 and C.8.11.7)."""

PROCESSING_EQUIPMENT = ("109102", "DCM")
"""Purpose of reference of contributing equipment: a program made the object (PS3.16 CID 7005)."""


def attributes(dataset: Dataset, *, of_frame: bool = False) -> Values:
    """Return keyword -> values of the standard attributes at the top level, without sequences and binary data.

    Text is decoded and cut at 256 characters. An invalid DS or IS stays text.
    Absent and empty attributes are omitted.
    of_frame: the dataset is from a functional group; attributes of the whole object are omitted.
    """
    facts: Values = {}
    for tag in dataset.keys():  # noqa: SIM118 - a Dataset iterates over elements and would convert them all
        keyword = "" if of_frame and is_of_object(tag) else _keyword(tag)
        if keyword and (values := _values(dataset, tag)):
            facts[keyword] = values
    return facts


def header_facts(dataset: Dataset) -> Values:
    """Return ``attributes`` plus facts from sequences that rules and intended use need.

    ContrastBolusAgent from ContrastBolusAgentSequence (enhanced objects have only the sequence),
    ModalityLUTType from ModalityLUTSequence, ViewPosition from ViewCodeSequence (mammograms may have only the code),
    MachineWritten from ContributingEquipmentSequence.
    """
    facts = attributes(dataset)
    for agent in _items(dataset, "ContrastBolusAgentSequence"):
        facts.setdefault("ContrastBolusAgent", (str(agent.get("CodeMeaning", "")) or "unnamed",))
    for table in _items(dataset, "ModalityLUTSequence"):
        facts.setdefault("ModalityLUTType", (str(table.get("ModalityLUTType", "")) or "US",))
    for view in _items(dataset, "ViewCodeSequence"):
        if position := VIEW_POSITIONS.get(str(view.get("CodeValue", ""))):
            facts.setdefault("ViewPosition", (position,))
    for equipment in _items(dataset, "ContributingEquipmentSequence"):
        for purpose in _items(equipment, "PurposeOfReferenceCodeSequence"):
            if (purpose.get("CodeValue"), purpose.get("CodingSchemeDesignator")) == PROCESSING_EQUIPMENT:
                facts["MachineWritten"] = ("yes",)
    return facts


def frame_attributes(dataset: Dataset) -> list[Headers]:
    """Return the attributes of each frame of an enhanced multi-frame image (PS3.3 C.7.6.16).

    Per-frame functional groups override shared ones, and these override the top level. No group overrides what
    identifies the object (see ``is_of_object``).
    Empty where the object has no functional groups (ultrasound, secondary capture).
    """
    per_frame = _items(dataset, "PerFrameFunctionalGroupsSequence")
    if not per_frame:
        return []
    shared = [_leaves(item) for item in _items(dataset, "SharedFunctionalGroupsSequence")[:1]]
    common: Values = attributes(dataset) | (shared[0] if shared else {})
    return [common | _leaves(item) for item in per_frame]


def is_of_object(tag: BaseTag) -> bool:
    """Return whether an attribute applies to a whole object: patient, study, series, SOP instance, pixel format.

    Functional groups never define such an attribute. Some scanners nest the header of another object in them, and
    converted objects have unassigned attributes (PS3.3 C.7.6.16.2.24).
    """
    return tag.group == _PATIENT_GROUP or tag in _OF_OBJECT


def macros(groups: Dataset) -> Iterator[Dataset]:
    """Yield the item of each functional group; private sequences are no functional groups."""
    for group in groups:
        if group.VR == "SQ" and not group.tag.is_private and group.value:
            yield group.value[0]


def distinct(headers: Sequence[Headers]) -> Values:
    """Return keyword -> distinct values over all headers, in order of first occurrence."""
    tuples: dict[str, dict[tuple[HeaderValue, ...], None]] = {}  # most headers are equal: compare whole tuples first
    for header in headers:
        for keyword, values in header.items():
            tuples.setdefault(keyword, {})[values] = None
    return {keyword: tuple(dict.fromkeys(chain.from_iterable(each))) for keyword, each in tuples.items()}


def text(headers: Headers, keyword: str) -> str:
    """Return the first value as text, empty where the attribute is absent."""
    values = headers.get(keyword, ())
    return str(values[0]) if values else ""


def number(headers: Headers, keyword: str) -> float | None:
    """Return the first value if it is a finite number, else None."""
    values = headers.get(keyword, ())
    if not values or isinstance(values[0], str) or not math.isfinite(values[0]):
        return None
    return float(values[0])


def plane(headers: Headers) -> Plane | None:
    """Return the image plane (PS3.3 C.7.6.2), None where an attribute is absent or not numeric."""
    position = _numbers(headers, "ImagePositionPatient", 3)
    cosines = _numbers(headers, "ImageOrientationPatient", 6)
    spacing = _numbers(headers, "PixelSpacing", 2)
    if position is None or cosines is None or spacing is None or min(spacing) <= 0:
        return None
    return Plane(
        (position[0], position[1], position[2]),
        (cosines[0], cosines[1], cosines[2], cosines[3], cosines[4], cosines[5]),
        (spacing[0], spacing[1]),
    )


def _numbers(headers: Headers, keyword: str, count: int) -> list[float] | None:
    values = headers.get(keyword, ())
    numbers = [float(value) for value in values if not isinstance(value, str)]
    if len(values) != count or len(numbers) != count or not all(map(math.isfinite, numbers)):
        return None
    return numbers


def _keyword(tag: BaseTag) -> str:
    """Return the keyword of a standard attribute; empty for private, repeating-group and group-length elements."""
    if tag.is_private or tag.element == 0 or tag.group in _REPEATING_GROUPS:
        return ""
    return keyword_for_tag(tag)


def _values(dataset: Dataset, tag: BaseTag) -> tuple[HeaderValue, ...]:
    """Return the values of an element.

    This function converts them, not pydicom: it takes a third of the time, and a value that violates its VR
    becomes text instead of an exception.
    """
    raw = cast("RawDataElement | DataElement | None", dataset.get_item(tag))
    if not isinstance(raw, RawDataElement) or not raw.value:
        return ()
    vr = dictionary_VR(tag) if raw.VR in (None, "UN") else str(raw.VR)
    if vr in _LEFT_OUT:
        return ()
    if vr in _BINARY_NUMBERS:
        return tuple(_binary(raw, _BINARY_NUMBERS[vr]))
    convert = _NUMBERS.get(vr, _shorten)
    parts = _decode(raw.value, vr, dataset).split(_SEPARATOR.get(vr, "\\"), MOST_VALUES)
    return tuple(convert(part) for part in (part.strip(" \0") for part in parts[:MOST_VALUES]) if part)


def _binary(raw: RawDataElement, code: str) -> Iterator[HeaderValue]:
    value = raw.value or b""
    count = min(len(value) // struct.calcsize(code), MOST_VALUES)
    for number in struct.unpack_from(f"{'<' if raw.is_little_endian else '>'}{count}{code}", value):
        yield number if math.isfinite(number) else str(number)


def _decode(value: bytes, vr: str, dataset: Dataset) -> str:
    if vr not in _IN_CHARACTER_SET:
        return value.decode("latin-1")
    encodings = dataset.original_character_set
    return decode_bytes(value, [encodings] if isinstance(encodings, str) else encodings, TEXT_VR_DELIMS)


def _shorten(part: str) -> str:
    return part[:LONGEST_TEXT]


def _decimal(part: str) -> HeaderValue:
    try:
        number = float(part)
    except ValueError:
        return _shorten(part)
    return number if math.isfinite(number) else _shorten(part)


def _integer(part: str) -> HeaderValue:
    number = _decimal(part)
    return int(number) if isinstance(number, float) and number.is_integer() else number


_BINARY_NUMBERS = {
    **{"US": "H", "SS": "h", "UL": "L", "SL": "l", "UV": "Q", "SV": "q", "FL": "f", "FD": "d"},
    "US or SS": "H",  # implicit VR does not say which; pixel_values.py handles Pixel Padding Value
}
_NUMBERS = {"DS": _decimal, "IS": _integer}
_IN_CHARACTER_SET = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_SEPARATOR = dict.fromkeys(("LT", "ST", "UR", "UT"), "\0")  # one value, which may contain backslashes


def _items(dataset: Dataset, keyword: str) -> Sequence[Dataset]:
    try:
        value = dataset.get(keyword)
    except Exception:  # noqa: BLE001 - a sequence that cannot be parsed counts as absent
        return ()
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str | bytes) else ()


def _leaves(groups: Dataset) -> Values:
    """Return the attributes of each group's first item (functional groups have one item each)."""
    facts: Values = {}
    for item in macros(groups):
        facts |= attributes(item, of_frame=True)
    return facts
