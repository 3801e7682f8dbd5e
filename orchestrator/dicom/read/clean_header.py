"""A header that the writer can rely on: each value is what its attribute asks for, or absent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

from pydicom import Dataset
from pydicom.datadict import dictionary_has_tag, dictionary_VM, dictionary_VR
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag

NUMBERS = frozenset({"DS", "IS", "FL", "FD", "SS", "SL", "SV", "US", "UL", "UV"})
_FREE_TEXT = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
"""A backslash in one of these makes two values of one: wrong, common, and no reason to lose the text."""
_STRINGS = _FREE_TEXT | {"AE", "AS", "CS", "DA", "DT", "TM", "UI", "UR"}


def sound(header: Dataset) -> Dataset:
    """Return the header without standard attributes that are empty, or whose value breaks their VR or VM.

    Absent is a value that every reader of a header must know; a slice thickness of "thick" or an empty
    spacing is not. A number written as text (a wrong VR) becomes a number. Private attributes, the VRs
    that the dictionary leaves open and nested items stay as they are.
    """
    for tag in list(header.keys()):
        if dictionary_has_tag(tag) and not _is_sound(header, tag):
            del header[tag]
    return header


def _is_sound(header: Dataset, tag: BaseTag) -> bool:
    vr = dictionary_VR(tag)
    if vr not in NUMBERS | _STRINGS | {"SQ"}:
        return True
    try:
        if vr != header[tag].VR:
            header.add_new(tag, vr, header[tag].value)
        value = header[tag].value
    except Exception:  # noqa: BLE001  # pydicom raises anything at all where bytes and VR disagree
        return False
    if vr == "SQ":
        return True
    values: Sequence[Any] = value if isinstance(value, (MultiValue, list)) else [value]
    if len(values) > 1 and dictionary_VM(tag) == "1" and vr not in _FREE_TEXT:
        return False
    return bool(values) and all(_fits(item, vr) for item in values)


def _fits(value: object, vr: str) -> bool:
    if vr in NUMBERS:
        return isinstance(value, Real) and math.isfinite(value)
    return value is not None and not isinstance(value, Real) and str(value) != ""
