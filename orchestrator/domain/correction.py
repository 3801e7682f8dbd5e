"""Corrections of a result: which values a person may change, and the result with the changes applied."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from orchestrator.domain.errors import UserError
from orchestrator.domain.result import Presence, Urgency

Entry = Mapping[str, object]
"""A finding or measurement as the ledger stores it; or a change of one: what, before, after, unit, and place (at)."""

NONE: Final = "none"
"""No urgency, no side."""
SIDES: Final = ("Left", "Right", "Bilateral")
LARGEST: Final = 1e9
"""No quantity of a body is larger in any unit in use; a larger number is a typing error."""
_BELOW_ZERO: Final = frozenset({"[hnsf'U]", "Cel", "deg"})
"""Units in which a negative number is no typing error."""


class WrongCorrection(UserError):
    """A typed value cannot replace the model's value."""


@dataclass(frozen=True, slots=True)
class Correctable:
    """One value that may be corrected.

    at: its place among the job's entries, ``measurements/0/value``. said: what the model says.
    unit: UCUM, kept whatever the value. choices: all that it may be; none where it is a number.
    """

    at: str
    what: str
    said: float | str
    unit: str = ""
    choices: tuple[str, ...] = ()

    def read(self, text: str) -> float | str:
        """Return the typed text as a value of this kind.

        Raises WrongCorrection.
        """
        if not self.choices:
            return self._number(text)
        if text not in self.choices:
            raise WrongCorrection(f"{self.what} can be {', '.join(self.choices)}")
        return text

    def _number(self, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or "_" in text:
            raise WrongCorrection(f"{self.what} needs a number; use a decimal point and no other marks")
        if abs(value) > LARGEST:
            raise WrongCorrection(f"{self.what} is too large")
        if value < 0 <= float(self.said) and self.unit not in _BELOW_ZERO:
            raise WrongCorrection(f"{self.what} cannot be below zero")
        return value


def correctables(findings: Sequence[Entry], measurements: Sequence[Entry]) -> tuple[Correctable, ...]:
    """Return all values that may be corrected; later ones of the same name are numbered."""
    values = [each for place, entry in enumerate(findings) for each in _of_finding(place, entry)]
    values += [each for place, entry in enumerate(measurements) for each in _of_measurement(place, entry)]
    times: Counter[str] = Counter()
    for position, each in enumerate(values):
        times[each.what] += 1
        if times[each.what] > 1:
            what = f"{each.what} ({times[each.what]})"
            values[position] = Correctable(each.at, what, each.said, each.unit, each.choices)
    return tuple(values)


def changes(
    values: Iterable[Correctable], entries: Iterable[tuple[str, str]], earlier: Iterable[Entry] = ()
) -> tuple[Entry, ...]:
    """Return the changes of a verdict: those of the earlier verdict, overridden by the entries typed now.

    entries: (at, typed text), empty text for no change. A value equal to the model's is no change;
    changes that came from an archive name no place and stay.
    Raises WrongCorrection.
    """
    by_place = {each.at: each for each in values}
    earlier = tuple(earlier)
    changes_by_place = {str(change["at"]): change for change in earlier if change.get("at") in by_place}
    for at, text in entries:
        if at not in by_place:
            raise WrongCorrection("the result has changed meanwhile; reload it")
        if text.strip():
            value = by_place[at].read(text.strip())
            changes_by_place[at] = _change(by_place[at], value)
    elsewhere = [change for change in earlier if "at" not in change]
    return (*elsewhere, *(change for at, change in changes_by_place.items() if change["after"] != by_place[at].said))


def corrected(kind: str, entries: Sequence[Entry], changes: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return the entries with the changes applied; ``ai`` holds the model's original values.

    kind: ``findings`` or ``measurements``. Changes that came from an archive name no place and change nothing here.
    """
    copies: list[dict[str, object]] = [dict(entry) for entry in entries]
    for change in changes:
        group, _, rest = str(change.get("at", "")).partition("/")
        place, _, field = rest.partition("/")
        if group == kind and place.isdecimal() and int(place) < len(copies):
            copies[int(place)] = _put(copies[int(place)], field, change)
    return tuple(copies)


def measured(entry: Entry) -> str:
    """Return the name of a measurement with its segment: "Brain volume", "Midline shift"."""
    name, segment = str(entry.get("name", "Measurement")), str(entry.get("segment") or "")
    return f"{segment} {name.lower()}" if segment else name


def _of_finding(place: int, entry: Entry) -> Iterator[Correctable]:
    at, name = f"findings/{place}", str(entry.get("name", "Finding"))
    yield Correctable(f"{at}/value", name, str(entry.get("value", "")), choices=tuple(Presence))
    if side := str(entry.get("laterality") or ""):
        yield Correctable(f"{at}/laterality", f"{name}, side", side, choices=(side, *_other_sides(side)))
    urgency = str(entry.get("urgency") or NONE)
    yield Correctable(f"{at}/urgency", f"{name}, urgency", urgency, choices=(*Urgency, NONE))


def _of_measurement(place: int, entry: Entry) -> Iterator[Correctable]:
    value = entry.get("value")
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield Correctable(f"measurements/{place}/value", measured(entry), value, str(entry.get("unit", "")))


def _other_sides(side: str) -> Iterator[str]:
    return (other for other in SIDES if other.lower() != side.lower())


def _change(of: Correctable, value: float | str) -> Entry:
    return {"at": of.at, "what": of.what, "before": of.said, "after": value, "unit": of.unit}


def _put(entry: dict[str, object], field: str, change: Entry) -> dict[str, object]:
    earlier = entry.get("ai")
    ai = {**(earlier if isinstance(earlier, dict) else {}), field: change["before"]}
    if field == "urgency" and change["after"] == NONE:
        return {**{key: value for key, value in entry.items() if key != field}, "ai": ai}
    return {**entry, field: change["after"], "ai": ai}
