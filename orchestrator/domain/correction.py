"""What a person may put in the place of what a model said, and how the result reads then."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from orchestrator.domain.errors import UserError
from orchestrator.domain.result import Presence, Urgency

Entry = Mapping[str, object]
"""A finding or measurement as the ledger keeps it; or a change of one: what, before, after, unit and its place, at."""

NONE: Final = "none"
"""No urgency, no side."""
SIDES: Final = ("Left", "Right", "Bilateral")
LARGEST: Final = 1e9
"""No quantity of a body in any unit in use is larger: a slip of the keyboard."""
_BELOW_ZERO: Final = frozenset({"[hnsf'U]", "Cel", "deg"})
"""Units whose numbers may have the other sign without being a slip."""


class WrongCorrection(UserError):
    """A value that was typed cannot take the place of the model's."""


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
        """Return what somebody typed as a value of this kind.

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
            raise WrongCorrection(f"{self.what} needs a number with a decimal point and without other marks")
        if abs(value) > LARGEST:
            raise WrongCorrection(f"{self.what} cannot be as large as that")
        if value < 0 <= float(self.said) and self.unit not in _BELOW_ZERO:
            raise WrongCorrection(f"{self.what} cannot be below zero")
        return value


def correctables(findings: Sequence[Entry], measurements: Sequence[Entry]) -> tuple[Correctable, ...]:
    """Return all that may be corrected; of several with one name, the later ones are numbered."""
    found = [each for place, entry in enumerate(findings) for each in _of_finding(place, entry)]
    found += [each for place, entry in enumerate(measurements) for each in _of_measurement(place, entry)]
    times: Counter[str] = Counter()
    for position, each in enumerate(found):
        times[each.what] += 1
        if times[each.what] > 1:
            what = f"{each.what} ({times[each.what]})"
            found[position] = Correctable(each.at, what, each.said, each.unit, each.choices)
    return tuple(found)


def changes(
    known: Iterable[Correctable], wanted: Iterable[tuple[str, str]], earlier: Iterable[Entry] = ()
) -> tuple[Entry, ...]:
    """Return the changes that a verdict keeps: those of the verdict before it and, over them, what is wanted now.

    wanted: (at, what was typed), empty where nothing was. A value that is the model's own again is no change;
    changes that came from an archive name no place and stay.
    Raises WrongCorrection.
    """
    by_place = {each.at: each for each in known}
    earlier = tuple(earlier)
    kept = {str(change["at"]): change for change in earlier if change.get("at") in by_place}
    for at, text in wanted:
        if at not in by_place:
            raise WrongCorrection("the result says something else by now; look at it again")
        if text.strip():
            value = by_place[at].read(text.strip())
            kept[at] = _change(by_place[at], value)
    elsewhere = [change for change in earlier if "at" not in change]
    return (*elsewhere, *(change for at, change in kept.items() if change["after"] != by_place[at].said))


def corrected(kind: str, entries: Sequence[Entry], made: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return the entries with what people put in their place; under ``ai`` stands what the model had said there.

    kind: ``findings`` or ``measurements``. Changes that came from an archive name no place and change nothing here.
    """
    read: list[dict[str, object]] = [dict(entry) for entry in entries]
    for change in made:
        group, _, rest = str(change.get("at", "")).partition("/")
        place, _, field = rest.partition("/")
        if group == kind and place.isdecimal() and int(place) < len(read):
            read[int(place)] = _put(read[int(place)], field, change)
    return tuple(read)


def urgency_of(findings: Iterable[Entry]) -> Urgency | None:
    """Return the highest urgency of a finding that is not absent, None where none is stated."""
    said = [each for each in findings if "urgency" in each and each["value"] != Presence.ABSENT]
    return min((Urgency(str(each["urgency"])) for each in said), key=list(Urgency).index, default=None)


def measured(entry: Entry) -> str:
    """Return what was measured: "Brain volume", "Midline shift"."""
    name, segment = str(entry.get("name", "Measurement")), str(entry.get("segment") or "")
    return f"{segment} {name.lower()}" if segment else name


def _of_finding(place: int, entry: Entry) -> Iterator[Correctable]:
    at, name = f"findings/{place}", str(entry.get("name", "Finding"))
    yield Correctable(f"{at}/value", name, str(entry.get("value", "")), choices=tuple(Presence))
    if side := str(entry.get("laterality") or ""):
        yield Correctable(f"{at}/laterality", f"{name}, side", side, choices=(side, *_other_sides(side)))
    said = str(entry.get("urgency") or NONE)
    yield Correctable(f"{at}/urgency", f"{name}, urgency", said, choices=(*Urgency, NONE))


def _of_measurement(place: int, entry: Entry) -> Iterator[Correctable]:
    value = entry.get("value")
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield Correctable(f"measurements/{place}/value", measured(entry), value, str(entry.get("unit", "")))


def _other_sides(side: str) -> Iterator[str]:
    return (other for other in SIDES if other.lower() != side.lower())


def _change(of: Correctable, value: float | str) -> Entry:
    return {"at": of.at, "what": of.what, "before": of.said, "after": value, "unit": of.unit}


def _put(entry: dict[str, object], field: str, change: Entry) -> dict[str, object]:
    said = entry.get("ai")
    ai = {**(said if isinstance(said, dict) else {}), field: change["before"]}
    if field == "urgency" and change["after"] == NONE:
        return {**{key: value for key, value in entry.items() if key != field}, "ai": ai}
    return {**entry, field: change["after"], "ai": ai}
