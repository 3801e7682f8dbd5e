"""One condition of a rule: a keyword and the values that satisfy it."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from orchestrator.domain.series import Headers, HeaderValue
from orchestrator.rules.kinds import Kind, point


@dataclass(frozen=True, slots=True)
class Pattern:
    """Text with DICOM's wildcards ``*`` and ``?`` (PS3.4 C.2.2.2.4); upper and lower case are one."""

    text: str

    @property
    def has_wildcard(self) -> bool:
        """True where other texts than this one fit too."""
        return "*" in self.text or "?" in self.text

    def fits(self, found: Sequence[HeaderValue]) -> bool:
        """Return whether any of the values fits."""
        expression = _expression(self.text)
        return any(expression.match(str(value).strip()) for value in found)

    def __str__(self) -> str:
        return self.text


@lru_cache(maxsize=4096)
def _expression(pattern: str) -> re.Pattern[str]:
    # fnmatch takes linear time where a plain .* for each * would not; [ is no wildcard in DICOM
    return re.compile(fnmatch.translate(pattern.replace("[", "[[]")), re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Range:
    """A stretch of numbers, dates, times or ages, both ends included; ``wanted`` says it in words."""

    kind: Kind
    low: float
    high: float
    wanted: str

    def fits(self, found: Sequence[HeaderValue]) -> bool:
        """Return whether any of the values lies in it; what cannot be read as one does not."""
        points = (point(self.kind, value) for value in found)
        return any(self.low <= place <= self.high for place in points if place is not None)

    def __str__(self) -> str:
        return self.wanted


@dataclass(frozen=True, slots=True)
class Presence:
    """Asks only whether the attribute is there with a value."""

    present: bool

    def fits(self, found: Sequence[HeaderValue]) -> bool:
        """Return whether there are values, as asked."""
        return bool(found) == self.present

    def __str__(self) -> str:
        return "present" if self.present else "absent"


Choice = Pattern | Range | Presence


@dataclass(frozen=True, slots=True)
class Condition:
    """A keyword and its choices, any of which satisfies it."""

    keyword: str
    choices: tuple[Choice, ...]

    def satisfied_by(self, facts: Headers) -> bool:
        """Return whether any value fits any choice; an absent attribute fits ``present = false`` only."""
        return self.fitting(facts) is not None

    def fitting(self, facts: Headers) -> Choice | None:
        """Return the first choice that any value fits, None where the condition is not satisfied."""
        found = values_of(facts, self.keyword)
        return next((choice for choice in self.choices if choice.fits(found)), None)


def values_of(facts: Headers, keyword: str) -> tuple[HeaderValue, ...]:
    """Return the values of an attribute; one that is there without a value (type 2) is absent."""
    return tuple(value for value in facts.get(keyword, ()) if str(value).strip())
