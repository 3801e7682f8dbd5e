"""What a header says, as plain values: numbers as numbers, names as text, nothing binary."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from pydicom import Dataset
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag

from orchestrator.domain.series import Headers, HeaderValue, Plane

Values = dict[str, tuple[HeaderValue, ...]]

LONGEST_TEXT = 256
MOST_VALUES = 256
_LEFT_OUT = frozenset({"AT", "OB", "OD", "OF", "OL", "OV", "OW", "SQ", "UN"})
_NUMBERS = frozenset({"DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV", "US or SS"})
_REPEATING_GROUPS = range(0x5000, 0x6100)  # curves and overlays, PS3.5 7.6

PROCESSING_EQUIPMENT = ("109102", "DCM")
"""Purpose of a ContributingEquipmentSequence item: the object is the output of a program (PS3.16 CID 7005)."""


def attributes(dataset: Dataset) -> Values:
    """Return keyword -> values of the standard attributes at the top level, without sequences and binary ones.

    Text is decoded and cut at 256 characters; an attribute that cannot be converted (IS "1.5x",
    a wrong VR) stays as the text that was found. Absent and empty attributes are left out.
    """
    found: Values = {}
    for tag in dataset.keys():  # noqa: SIM118 - a Dataset iterates over elements and would convert them all
        keyword = _keyword(tag)
        if keyword and (values := _values(dataset, tag)):
            found[keyword] = values
    return found


def described(dataset: Dataset) -> Values:
    """Return ``attributes`` and what the few sequences say that rules and intended use ask about.

    ContrastBolusAgent from ContrastBolusAgentSequence (enhanced objects have only that),
    ModalityLUTType from ModalityLUTSequence, MachineWritten from ContributingEquipmentSequence.
    """
    found = attributes(dataset)
    for agent in _items(dataset, "ContrastBolusAgentSequence"):
        found.setdefault("ContrastBolusAgent", (str(agent.get("CodeMeaning", "")) or "unnamed",))
    for table in _items(dataset, "ModalityLUTSequence"):
        found.setdefault("ModalityLUTType", (str(table.get("ModalityLUTType", "")) or "US",))
    for equipment in _items(dataset, "ContributingEquipmentSequence"):
        for purpose in _items(equipment, "PurposeOfReferenceCodeSequence"):
            if (purpose.get("CodeValue"), purpose.get("CodingSchemeDesignator")) == PROCESSING_EQUIPMENT:
                found["MachineWritten"] = ("yes",)
    return found


def frame_attributes(dataset: Dataset) -> list[Headers]:
    """Return the attributes of each frame of an enhanced multi-frame image (PS3.3 C.7.6.16).

    The leaves of the shared and the per-frame functional groups over those of the top level;
    an empty list where the object has no functional groups (ultrasound, secondary capture).
    """
    per_frame = _items(dataset, "PerFrameFunctionalGroupsSequence")
    shared = [_leaves(item) for item in _items(dataset, "SharedFunctionalGroupsSequence")[:1]]
    common: Values = attributes(dataset) | (shared[0] if shared else {})
    return [common | _leaves(item) for item in per_frame]


def distinct(headers: Sequence[Headers]) -> Values:
    """Return keyword -> distinct values over all the headers, in the order in which they come."""
    found: dict[str, dict[HeaderValue, None]] = {}
    for header in headers:
        for keyword, values in header.items():
            found.setdefault(keyword, {}).update(dict.fromkeys(values))
    return {keyword: tuple(values) for keyword, values in found.items()}


def text(headers: Headers, keyword: str) -> str:
    """Return the first value as text, empty where the attribute is absent."""
    values = headers.get(keyword, ())
    return str(values[0]) if values else ""


def number(headers: Headers, keyword: str) -> float | None:
    """Return the first value where it is a finite number, else None."""
    values = headers.get(keyword, ())
    if not values or isinstance(values[0], str) or not math.isfinite(values[0]):
        return None
    return float(values[0])


def plane(headers: Headers) -> Plane | None:
    """Return where the image lies (PS3.3 C.7.6.2), None where an attribute is absent or no number."""
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
    """Return the keyword of a standard attribute, empty for private, repeating and group-length ones."""
    if tag.is_private or tag.element == 0 or tag.group in _REPEATING_GROUPS:
        return ""
    return keyword_for_tag(tag)


def _values(dataset: Dataset, tag: BaseTag) -> tuple[HeaderValue, ...]:
    raw = dataset.get_item(tag)
    vr = (raw.VR if raw is not None else None) or dictionary_VR(tag)
    if raw is None or vr in _LEFT_OUT:
        return ()
    try:
        return tuple(_plain(dataset[tag]))
    except Exception:  # noqa: BLE001 - pydicom raises what its converters trip over; the text is still worth having
        return tuple(_unconverted(raw, vr))


def _plain(element: DataElement) -> Iterator[HeaderValue]:
    value = element.value
    values = value if isinstance(value, MultiValue | list | tuple) else [value]
    for one in values[:MOST_VALUES]:
        if isinstance(one, int):
            yield int(one)
        elif isinstance(one, bytes | Dataset):
            continue
        elif element.VR in _NUMBERS and one not in (None, ""):
            plain = float(one)
            yield plain if math.isfinite(plain) else str(one)
        elif one not in (None, ""):
            yield str(one).strip(" \0")[:LONGEST_TEXT]


def _unconverted(raw: RawDataElement | DataElement, vr: str) -> Iterator[HeaderValue]:
    value = raw.value if isinstance(raw.value, bytes) else b""
    for part in value.decode("latin-1").split("\\")[:MOST_VALUES]:
        one = part.strip(" \0")[:LONGEST_TEXT]
        try:
            yield float(one) if vr in {"DS", "IS"} and math.isfinite(float(one)) else one
        except ValueError:
            if one:
                yield one


def _items(dataset: Dataset, keyword: str) -> Sequence[Dataset]:
    try:
        value = dataset.get(keyword)
    except Exception:  # noqa: BLE001 - a sequence that cannot be parsed says nothing
        return ()
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str | bytes) else ()


def _leaves(groups: Dataset) -> Values:
    """Return the attributes of each group's first item (functional groups hold one item each)."""
    found: Values = {}
    for group in groups:
        if group.VR == "SQ" and not group.tag.is_private and group.value:
            found |= attributes(group.value[0])
    return found


def merged(headers: Mapping[str, tuple[HeaderValue, ...]], more: Headers) -> Headers:
    """Return both, the first one's values where both have the attribute."""
    return {**more, **headers}
