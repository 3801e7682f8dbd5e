"""One condition of a rule: a keyword and the values that satisfy it."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from orchestrator.domain.series import Headers, HeaderValue
from orchestrator.rules.values import Kind, parse_point


@dataclass(frozen=True, slots=True)
class Pattern:
    """Text with DICOM's wildcards ``*`` and ``?`` (PS3.4 C.2.2.2.4); case does not matter."""

    text: str

    @property
    def has_wildcard(self) -> bool:
        """True where the pattern fits more than one text."""
        return "*" in self.text or "?" in self.text

    def fits(self, values: Sequence[HeaderValue]) -> bool:
        """Return whether any value fits the pattern."""
        expression = _compile(self.text)
        return any(expression.match(str(value).strip()) for value in values)

    def __str__(self) -> str:
        return self.text


@lru_cache(maxsize=4096)
def _compile(pattern: str) -> re.Pattern[str]:
    # fnmatch runs in linear time, a regular expression with .* for each * does not. [ is no wildcard in DICOM.
    return re.compile(fnmatch.translate(pattern.replace("[", "[[]")), re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Range:
    """A range of numbers, dates, times or ages; both ends belong to it. ``description`` is for people."""

    kind: Kind
    low: float
    high: float
    description: str

    def fits(self, values: Sequence[HeaderValue]) -> bool:
        """Return whether any value lies in the range; a value of another kind does not."""
        points = (parse_point(self.kind, value) for value in values)
        return any(self.low <= point <= self.high for point in points if point is not None)

    def __str__(self) -> str:
        return self.description


@dataclass(frozen=True, slots=True)
class Existence:
    """Tests only whether the attribute has a value."""

    present: bool

    def fits(self, values: Sequence[HeaderValue]) -> bool:
        """Return whether there are values, or none where ``present`` is False."""
        return bool(values) == self.present

    def __str__(self) -> str:
        return "present" if self.present else "absent"


Choice = Pattern | Range | Existence


@dataclass(frozen=True, slots=True)
class Condition:
    """A keyword and its choices, any of which satisfies the condition."""

    keyword: str
    choices: tuple[Choice, ...]

    def is_satisfied_by(self, facts: Headers) -> bool:
        """Return whether any value fits any choice; an absent attribute fits ``present = false`` only."""
        return self.find_choice(facts) is not None

    def find_choice(self, facts: Headers) -> Choice | None:
        """Return the first choice that any value fits, None where the condition is not satisfied."""
        values = values_of(facts, self.keyword)
        return next((choice for choice in self.choices if choice.fits(values)), None)


def values_of(facts: Headers, keyword: str) -> tuple[HeaderValue, ...]:
    """Return the values of an attribute; an attribute without a value (type 2) is absent."""
    return tuple(value for value in facts.get(keyword, ()) if str(value).strip())
