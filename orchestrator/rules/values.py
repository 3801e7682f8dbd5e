"""Reads values that rules compare; numbers, dates, times and ages become points on a number line."""

from __future__ import annotations

import calendar
import math
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from enum import StrEnum

Span = tuple[float, float]
"""First and last parse_point, both included, that a value value stands for: "08" is the whole hour."""


class Kind(StrEnum):
    """Kind of a keyword's values, given by its VR (PS3.5 table 6.2-1)."""

    TEXT = "text"
    UID = "UID"
    NUMBER = "number"
    DATE = "date"
    TIME = "time"
    DATE_TIME = "date-time"
    AGE = "age"

    @property
    def is_text(self) -> bool:
        """True where values are compared by pattern, False where they are points on a number line."""
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
"""The VRs that rules can compare; sequences and binary values are left out on purpose."""

_DAYS = {"D": 1.0, "W": 7.0, "M": 365.25 / 12, "Y": 365.25}
_AGE = re.compile(r"(\d{1,3})([DWMY])")
_DATE = re.compile(r"\d{8}")
_TIME = re.compile(r"(\d{2})(?:(\d{2})(?:(\d{2})(?:\.(\d{1,6}))?)?)?")
_DATE_TIME = re.compile(r"(\d{4})(?:(\d{2})(?:(\d{2})(?:" + _TIME.pattern + r")?)?)?(?:[+-]\d{4})?")


def parse_span(kind: Kind, value: object) -> Span:
    """Return the span of a value in a rules file; ``kind`` must not be a text kind.

    Raises ValueError with a sentence that shows how to write such a value.
    """
    try:
        return _SPANS[kind](value)
    except (ValueError, TypeError, OverflowError):
        raise ValueError(f"{value!r} is not a valid {kind}; write {_EXAMPLES[kind]}") from None


def parse_point(kind: Kind, value: object) -> float | None:
    """Return the point of a value of a series, None for a value of another kind.

    A partial time counts as its beginning; the zone of a date-time is not applied.
    """
    try:
        if kind is Kind.NUMBER:
            return float(str(value))
        return _SPANS[kind](str(value).strip())[0]
    except (ValueError, TypeError, OverflowError):
        return None


def _number_span(value: object) -> Span:
    """Return the number plus and minus a millionth: 32-bit headers hold 0.7 as 0.69999998."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError
    slack = abs(float(value)) * 1e-6
    return value - slack, value + slack


def _date_span(value: object) -> Span:
    """Return the day as a proleptic ordinal (DA)."""
    if isinstance(value, date) and not isinstance(value, datetime):
        day = value
    else:
        text = _full_match(_DATE, value)[0]
        day = date(int(text[:4]), int(text[4:6]), int(text[6:]))
    return day.toordinal(), day.toordinal()


def _time_span(value: object) -> Span:
    """Return microseconds since midnight (TM, partial forms too)."""
    if isinstance(value, time):
        moment = _microseconds(value.hour, value.minute, value.second, value.microsecond)
        return moment, moment
    return _clock_span(_full_match(_TIME, value).groups())


def _date_time_span(value: object) -> Span:
    """Return microseconds since the beginning of year 1 (DT, partial forms too)."""
    if isinstance(value, datetime):
        moment = value.toordinal() * _DAY + _time_span(value.time())[0]
        return moment, moment
    if isinstance(value, date):
        return value.toordinal() * _DAY, value.toordinal() * _DAY + _DAY - 1
    year, month, day, *clock = _full_match(_DATE_TIME, value).groups()
    first = date(int(year), int(month or 1), int(day or 1))
    last_month = int(month or 12)
    last = date(int(year), last_month, int(day or calendar.monthrange(int(year), last_month)[1]))
    begin, end = _clock_span(clock) if clock[0] else (0, _DAY - 1)
    return first.toordinal() * _DAY + begin, last.toordinal() * _DAY + end


def _age_span(value: object) -> Span:
    """Return days (AS). An age counts completed units: "18Y" lasts until the 19th birthday."""
    if isinstance(value, float) and not value.is_integer():
        if not 0 <= value < 1000:
            raise ValueError
        return value * _DAYS["Y"], value * _DAYS["Y"]
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = f"{int(value)}Y"
    count, unit = _full_match(_AGE, str(value).upper()).groups()
    smallest = 1 / 16  # months (30.4375 d) and years (365.25 d) are multiples of it
    return int(count) * _DAYS[unit], (int(count) + 1) * _DAYS[unit] - smallest


_SPANS: Mapping[Kind, Callable[[object], Span]] = {
    Kind.NUMBER: _number_span,
    Kind.DATE: _date_span,
    Kind.TIME: _time_span,
    Kind.DATE_TIME: _date_time_span,
    Kind.AGE: _age_span,
}
_EXAMPLES: Mapping[Kind, str] = {
    Kind.NUMBER: "3 or 2.5 without quotes",
    Kind.DATE: '2024-01-31 without quotes, or "20240131"',
    Kind.TIME: '08:30:00 without quotes, or "0830" or "08"',
    Kind.DATE_TIME: '2024-01-31T08:30:00 without quotes, or "202401310830"',
    Kind.AGE: '18 (years), or "18Y", "6M", "2W", "3D"',
}
_DAY = 24 * 3600 * 10**6


def _full_match(pattern: re.Pattern[str], value: object) -> re.Match[str]:
    match = pattern.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError
    return match


def _clock_span(parts: tuple[str | None, ...] | list[str | None]) -> Span:
    """Return the parse_span of (hour, minute, second, fraction), of which later ones may be None."""
    hour, minute, second, fraction = parts
    begin = _microseconds(int(hour or 0), int(minute or 0), int(second or 0), int((fraction or "").ljust(6, "0")))
    end = _microseconds(int(hour or 0), int(minute or 59), int(second or 59), int((fraction or "").ljust(6, "9")))
    return begin, end


def _microseconds(hour: int, minute: int, second: int, fraction: int) -> int:
    """Return microseconds since midnight; 60 s is a leap second (PS3.5 table 6.2-1, TM)."""
    if hour > 23 or minute > 59 or second > 60:
        raise ValueError
    return ((hour * 60 + minute) * 60 + min(second, 59)) * 10**6 + fraction
