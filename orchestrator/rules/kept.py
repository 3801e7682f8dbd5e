"""The facts of a series as the ledger keeps them, so that other rules can be asked later; nobody is named in them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pydicom.datadict import dictionary_VR, tag_for_keyword

from orchestrator.domain.series import Headers, HeaderValue
from orchestrator.rules.identity import identifies
from orchestrator.rules.keywords import HOST_FACTS

KeptFacts = Mapping[str, Sequence[HeaderValue] | None]
"""Facts as a record may keep them: None for a keyword that has values which are not kept."""

_VALUES_KEPT = 32
_CHARACTERS_KEPT = 256
_PATIENT_GROUP = 0x0010
_OF_THE_PATIENT = {"PatientSex", "PatientAge", "QualityControlSubject"}
"""What rules ask of a patient and what names none; the rest of the group is not kept."""
_PROSE = {"LT", "ST", "UT", "UC", "UR"}  # what people write at length tells anything
_NUMBERS = {"DS", "IS", "FL", "FD", "SS", "US", "SL", "UL", "SV", "UV"}
_MOST_YEARS = 89  # an age beyond may tell a person (45 CFR 164.514 b 2 i C)


def kept_facts(facts: Headers) -> KeptFacts:
    """Return the facts without values that may tell a person, and without the many that differ from image to image.

    Facts of plugins are not kept, since nobody knows what they tell; nor is text where a number should stand, and
    what JSON cannot hold (NaN, control characters).
    """
    return {keyword: values if _are_kept(keyword, values) else None for keyword, values in facts.items()}


def _are_kept(keyword: str, values: Sequence[HeaderValue]) -> bool:
    if len(values) > _VALUES_KEPT or identifies(keyword):
        return False
    tag = tag_for_keyword(keyword)
    if tag is None:
        return keyword in HOST_FACTS
    vr = dictionary_VR(tag)
    if vr in _PROSE or (tag >> 16 == _PATIENT_GROUP and keyword not in _OF_THE_PATIENT):
        return False
    return all(_is_kept(value, vr) for value in values)


def _is_kept(value: HeaderValue, vr: str) -> bool:
    if not isinstance(value, str):
        return math.isfinite(value)
    if vr in _NUMBERS:
        return False
    if vr == "AS":
        return _tells_nobody(value)
    return value.isprintable() and len(value) <= _CHARACTERS_KEPT


def _tells_nobody(age: str) -> bool:
    """Return whether the age (PS3.5 6.2, such as 065Y or 003M) is one that many people have."""
    number, unit = age[:3], age[3:].strip()
    return number.isdecimal() and (unit in {"D", "W", "M"} or (unit == "Y" and int(number) <= _MOST_YEARS))
