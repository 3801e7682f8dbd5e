"""Repairs text that breaks the rules of its VR (PS3.5 6.2) where only one meaning is possible, else leaves it away."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import date

KEPT = frozenset({"PatientID", "IssuerOfPatientID", "AccessionNumber"})
"""Identity by which archives match: never shortened."""

_LENGTHS = {"LO": 64, "SH": 16}
_DATE = re.compile(r"(\d{4})([.\-/]?)(\d\d)\2(\d\d)", re.ASCII)
_TIME = re.compile(r"([01]\d|2[0-3])(?::?([0-5]\d)(?::?([0-5]\d|60)(\.\d{1,6})?)?)?", re.ASCII)
_AGE = re.compile(r"\d{3}[DWMY]", re.ASCII)
_CODE = re.compile(r"[A-Z0-9_ ]{1,16}", re.ASCII)
_SEXES = {"M": "M", "MALE": "M", "F": "F", "FEMALE": "F", "O": "O", "OTHER": "O"}


def valid_text(keyword: str, vr: str, text: str) -> str:
    """Return the text as its VR allows it, empty where that is not possible.

    Dates and times of ACR-NEMA (``1970.01.01``, ``10:00:00``) and of ISO 8601 are rewritten, code strings put in
    capitals, control characters removed, and over-long text cut unless archives match by it.
    """
    text = "".join(each for each in text if unicodedata.category(each) != "Cc" or (vr in _LINES and each in "\t\n\f\r"))
    if keyword == "PatientSex":
        return _SEXES.get(text.strip().upper(), "")
    text = _BY_VR[vr](text.strip()) if vr in _BY_VR else text
    return text if keyword in KEPT else text[: _LENGTHS.get(vr, len(text))]


def _date(text: str) -> str:
    found = _DATE.fullmatch(text)
    try:
        return f"{date(int(found[1]), int(found[3]), int(found[4])):%Y%m%d}" if found else ""
    except ValueError:  # the 31st of February
        return ""


def _time(text: str) -> str:
    found = _TIME.fullmatch(text)
    return "".join(part or "" for part in found.groups()) if found else ""


def _age(text: str) -> str:
    return text if _AGE.fullmatch(text) else ""


def _code(text: str) -> str:
    return text.upper() if _CODE.fullmatch(text.upper()) else ""


_BY_VR: Mapping[str, Callable[[str], str]] = {"DA": _date, "TM": _time, "AS": _age, "CS": _code}
_LINES = frozenset({"LT", "ST", "UT"})
