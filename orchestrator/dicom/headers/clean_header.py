"""Removes attributes with invalid values from a header, so that the writer can rely on the rest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

from pydicom import Dataset
from pydicom.datadict import dictionary_has_tag, dictionary_VM, dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag

from orchestrator.dicom.headers.valid_text import valid_text

NUMBERS = frozenset({"DS", "IS", "FL", "FD", "SS", "SL", "SV", "US", "UL", "UV"})
_FREE_TEXT = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
"""VRs whose text is kept even where a backslash splits it into two values: a common fault of senders."""
_LENGTHS = frozenset(
    tag_for_keyword(keyword)
    for keyword in (
        *("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio"),
        *("SliceThickness", "DetectorElementSpacing"),
    )
)
"""Attributes of which no value may be zero or less; some senders write 0 for an unknown pixel size."""
_REPAIRED = _FREE_TEXT | {"AS", "CS", "DA", "TM"}
_STRINGS = _FREE_TEXT | {"AE", "AS", "CS", "DA", "DT", "TM", "UI", "UR"}


def remove_invalid(header: Dataset) -> Dataset:
    """Remove standard attributes that are empty, violate their VR or VM, or state a length of zero; return the header.

    Text that breaks the rules of its VR is repaired where that is possible (``valid_text``). A number with a text VR
    becomes a number. Private attributes, attributes whose VR depends on the context and
    nested items stay unchanged.
    """
    for tag in list(header.keys()):
        if dictionary_has_tag(tag) and not (_is_valid(header, tag) and _repair(header, tag)):
            del header[tag]
    return header


def _repair(header: Dataset, tag: BaseTag) -> bool:
    """Write text as its VR allows it; return False where a value of it cannot be written."""
    vr = dictionary_VR(tag)
    if vr not in _REPAIRED:
        return True
    value = header[tag].value
    texts = [str(each) for each in value] if isinstance(value, MultiValue) else [str(value)]
    repaired = [valid_text(keyword_for_tag(tag), vr, each) for each in texts]
    if repaired != texts:
        header[tag].value = repaired if len(repaired) > 1 else repaired[0]
    return all(repaired)


def _is_valid(header: Dataset, tag: BaseTag) -> bool:
    vr = dictionary_VR(tag)
    if vr not in NUMBERS | _STRINGS | {"SQ"}:
        return True
    try:
        if vr != header[tag].VR:
            header.add_new(tag, vr, header[tag].value)
        value = header[tag].value
    except Exception:  # noqa: BLE001  # pydicom raises exceptions of any type where bytes and VR disagree
        return False
    if vr == "SQ":
        return True
    values: Sequence[Any] = value if isinstance(value, (MultiValue, list)) else [value]
    if len(values) > 1 and dictionary_VM(tag) == "1" and vr not in _FREE_TEXT:
        return False
    return bool(values) and all(_fits(item, vr) for item in values) and are_lengths(tag, values)


def are_lengths(tag: int | None, values: Sequence[Any]) -> bool:
    """Return False where the attribute is a length in space and a value is not above zero."""
    return tag not in _LENGTHS or all(float(value) > 0 for value in values)


def _fits(value: object, vr: str) -> bool:
    if vr in NUMBERS:
        return isinstance(value, Real) and math.isfinite(value)
    return value is not None and not isinstance(value, Real) and str(value) != ""
