"""The facts of a series that the ledger stores: none identifies a person, and later rules can be tried on them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pydicom.datadict import dictionary_VR, tag_for_keyword

from orchestrator.domain.series import Headers, HeaderValue
from orchestrator.rules.identity import is_identifying
from orchestrator.rules.keywords import HOST_FACTS

LedgerFacts = Mapping[str, Sequence[HeaderValue] | None]
"""Facts that may be stored; None for a keyword whose values are left out."""

_MOST_VALUES = 32
_MOST_CHARACTERS = 256
_PATIENT_GROUP = 0x0010
_HARMLESS_PATIENT_KEYWORDS = {"PatientSex", "PatientAge", "QualityControlSubject"}
"""Keywords of the patient group that rules use and that identify nobody; the rest of the group is left out."""
_PROSE = {"LT", "ST", "UT", "UC", "UR"}  # free text may hold anything, a name too
_NUMBERS = {"DS", "IS", "FL", "FD", "SS", "US", "SL", "UL", "SV", "UV"}
_MOST_YEARS = 89  # a higher age may identify a person (45 CFR 164.514 b 2 i C)


def select_ledger_facts(facts: Headers) -> LedgerFacts:
    """Return the facts that the ledger may store.

    Left out are values that may identify a person and keywords with more than 32 values. So are facts of plugins,
    whose content is unknown, text in place of a number, and values that JSON cannot hold (NaN, control characters).
    """
    return {keyword: values if _may_store(keyword, values) else None for keyword, values in facts.items()}


def _may_store(keyword: str, values: Sequence[HeaderValue]) -> bool:
    if len(values) > _MOST_VALUES or is_identifying(keyword):
        return False
    tag = tag_for_keyword(keyword)
    if tag is None:
        return keyword in HOST_FACTS
    vr = dictionary_VR(tag)
    if vr in _PROSE or (tag >> 16 == _PATIENT_GROUP and keyword not in _HARMLESS_PATIENT_KEYWORDS):
        return False
    return all(_may_store_value(value, vr) for value in values)


def _may_store_value(value: HeaderValue, vr: str) -> bool:
    if not isinstance(value, str):
        return math.isfinite(value)
    if vr in _NUMBERS:
        return False
    if vr == "AS":
        return _is_common_age(value)
    return value.isprintable() and len(value) <= _MOST_CHARACTERS


def _is_common_age(age: str) -> bool:
    """Return whether many people have this age (PS3.5 6.2, such as 065Y or 003M)."""
    number, unit = age[:3], age[3:].strip()
    return number.isdecimal() and (unit in {"D", "W", "M"} or (unit == "Y" and int(number) <= _MOST_YEARS))
