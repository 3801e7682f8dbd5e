"""The result of one check of an installation or an archive."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Health(StrEnum):
    """The outcome of a check."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Check:
    """One check. name: its subject. found: the state of the subject. advice: what to do if it is not good."""

    name: str
    health: Health
    found: str
    advice: str = ""
