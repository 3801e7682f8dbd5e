"""Kinds of values that rules compare, each laid on a line where before and after have a meaning."""

from __future__ import annotations

import calendar
import math
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from enum import StrEnum

Span = tuple[float, float]
"""First and last point, both included, that a written value stands for: "08" is the whole hour."""


class Kind(StrEnum):
    """What a keyword holds; its VR decides (PS3.5 table 6.2-1)."""

    TEXT = "text"
    UID = "UID"
    NUMBER = "number"
    DATE = "date"
    TIME = "time"
    DATE_TIME = "date-time"
    AGE = "age"

    @property
    def is_text(self) -> bool:
        """True where values are compared by pattern, False where they lie on a line."""
        return self in (Kind.TEXT, Kind.UID)


VR_KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"), Kind.TEXT),
    **dict.fromkeys(("DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "US or SS", "UV"), Kind.NUMBER),
    "AS": Kind.AGE,
    "DA": Kind.DATE,
    "DT": Kind.DATE_TIME,
    "TM": Kind.TIME,
    "UI": Kind.UID,
}
"""The VRs that rules can ask for; sequences and binary values are missing on purpose."""

_DAYS = {"D": 1.0, "W": 7.0, "M": 365.25 / 12, "Y": 365.25}
_AGE = re.compile(r"(\d{1,3})([DWMY])")
_DATE = re.compile(r"\d{8}")
_TIME = re.compile(r"(\d{2})(?:(\d{2})(?:(\d{2})(?:\.(\d{1,6}))?)?)?")
_DATE_TIME = re.compile(r"(\d{4})(?:(\d{2})(?:(\d{2})(?:" + _TIME.pattern + r")?)?)?(?:[+-]\d{4})?")


def span(kind: Kind, written: object) -> Span:
    """Return what a value in a rules file stands for; ``kind`` must not be a text kind.

    Raises ValueError with a sentence that says how such a value is written.
    """
    try:
        return _SPANS[kind](written)
    except (ValueError, TypeError, OverflowError):
        raise ValueError(f"{written!r} is no {kind}; write {_EXAMPLES[kind]}") from None


def point(kind: Kind, found: object) -> float | None:
    """Return where a value of a series lies, None for what is no value of that kind.

    A partial time is its beginning; the zone of a date-time is not applied.
    """
    try:
        if kind is Kind.NUMBER:
            return float(str(found))
        return _SPANS[kind](str(found).strip())[0]
    except (ValueError, TypeError, OverflowError):
        return None


def _number(written: object) -> Span:
    """Return the number with a millionth of slack: 0.7 is found as 0.69999998 in 32-bit headers."""
    if isinstance(written, bool) or not isinstance(written, int | float) or not math.isfinite(written):
        raise ValueError
    slack = abs(float(written)) * 1e-6
    return written - slack, written + slack


def _date(written: object) -> Span:
    """Return the day as the proleptic ordinal (DA)."""
    if isinstance(written, date) and not isinstance(written, datetime):
        day = written
    else:
        text = _whole(_DATE, written)[0]
        day = date(int(text[:4]), int(text[4:6]), int(text[6:]))
    return day.toordinal(), day.toordinal()


def _time(written: object) -> Span:
    """Return microseconds since midnight (TM, with its partial forms)."""
    if isinstance(written, time):
        moment = _microseconds(written.hour, written.minute, written.second, written.microsecond)
        return moment, moment
    return _clock(_whole(_TIME, written).groups())


def _date_time(written: object) -> Span:
    """Return microseconds since the beginning of year 1 (DT, with its partial forms)."""
    if isinstance(written, datetime):
        moment = written.toordinal() * _DAY + _time(written.time())[0]
        return moment, moment
    if isinstance(written, date):
        return written.toordinal() * _DAY, written.toordinal() * _DAY + _DAY - 1
    year, month, day, *clock = _whole(_DATE_TIME, written).groups()
    first = date(int(year), int(month or 1), int(day or 1))
    last_month = int(month or 12)
    last = date(int(year), last_month, int(day or calendar.monthrange(int(year), last_month)[1]))
    begin, end = _clock(clock) if clock[0] else (0, _DAY - 1)
    return first.toordinal() * _DAY + begin, last.toordinal() * _DAY + end


def _age(written: object) -> Span:
    """Return days; an age counts completed units, so "18Y" lasts until the 19th birthday (AS)."""
    if isinstance(written, float) and not written.is_integer():
        if not 0 <= written < 1000:
            raise ValueError
        return written * _DAYS["Y"], written * _DAYS["Y"]
    if isinstance(written, int | float) and not isinstance(written, bool):
        written = f"{int(written)}Y"
    count, unit = _whole(_AGE, str(written).upper()).groups()
    smallest = 1 / 16  # of which months (30.4375 d) and years (365.25 d) are multiples
    return int(count) * _DAYS[unit], (int(count) + 1) * _DAYS[unit] - smallest


_SPANS: Mapping[Kind, Callable[[object], Span]] = {
    Kind.NUMBER: _number,
    Kind.DATE: _date,
    Kind.TIME: _time,
    Kind.DATE_TIME: _date_time,
    Kind.AGE: _age,
}
_EXAMPLES: Mapping[Kind, str] = {
    Kind.NUMBER: "3 or 2.5 without quotes",
    Kind.DATE: '2024-01-31 without quotes, or "20240131"',
    Kind.TIME: '08:30:00 without quotes, or "0830" or "08"',
    Kind.DATE_TIME: '2024-01-31T08:30:00 without quotes, or "202401310830"',
    Kind.AGE: '18 (years), or "18Y", "6M", "2W", "3D"',
}
_DAY = 24 * 3600 * 10**6


def _whole(pattern: re.Pattern[str], written: object) -> re.Match[str]:
    match = pattern.fullmatch(written) if isinstance(written, str) else None
    if match is None:
        raise ValueError
    return match


def _clock(parts: tuple[str | None, ...] | list[str | None]) -> Span:
    """Return the span of (hour, minute, second, fraction), of which later ones may be None."""
    hour, minute, second, fraction = parts
    begin = _microseconds(int(hour or 0), int(minute or 0), int(second or 0), int((fraction or "").ljust(6, "0")))
    end = _microseconds(int(hour or 0), int(minute or 59), int(second or 59), int((fraction or "").ljust(6, "9")))
    return begin, end


def _microseconds(hour: int, minute: int, second: int, fraction: int) -> int:
    """Return microseconds since midnight; 60 s is a leap second (PS3.5 table 6.2-1, TM)."""
    if hour > 23 or minute > 59 or second > 60:
        raise ValueError
    return ((hour * 60 + minute) * 60 + min(second, 59)) * 10**6 + fraction
