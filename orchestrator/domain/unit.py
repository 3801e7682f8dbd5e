"""Units of measurement, checked against the Unified Code for Units of Measure (UCUM)."""

from __future__ import annotations

import re

_PREFIXES = ("Y", "Z", "E", "P", "T", "G", "M", "k", "h", "da", "d", "c", "m", "u", "n", "p", "f", "a", "z", "y")
_METRIC = (
    *("m", "g", "s", "l", "L", "Hz", "Pa", "K", "mol", "Bq", "Gy", "Sv", "J", "W", "V", "A", "T", "C", "N", "eV"),
    *("cal", "m[Hg]", "m[H2O]", "U", "[iU]", "kat", "t", "bar", "eq", "osm", "By", "bit", "Ohm", "F", "Cel", "rad"),
)
_OTHER = (
    *("%", "[ppm]", "[hnsf'U]", "[arb'U]", "[in_i]", "deg", "'", "''", "min", "h", "d", "wk", "mo", "a", "10*", "10^"),
)
_KNOWN = frozenset({*_OTHER, *_METRIC} | {prefix + unit for prefix in _PREFIXES for unit in _METRIC})
_TERM = re.compile(r"(?P<unit>[^0-9{}./+-]+(?:\[[^\]]*\])?|10\*|10\^)?(?P<power>[+-]?\d+)?(?P<note>\{[!-z|~]*\})?$")
_SHOWN = {"[hnsf'U]": "HU", "[arb'U]": "arb. units", "[iU]": "IU", "[in_i]": "in", "Cel": "°C", "deg": "°"}
_POWER = re.compile(r"((?<=[A-Za-z])|(?<=10[*^]))[+-]?[0-9]+$")
_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "+")
_MEANT = {"HU": "[hnsf'U]", "cc": "ml", "pixels": "{pixels}", "px": "{pixels}", "percent": "%", "degrees": "deg"}


def unit_fault(text: str) -> str:
    """Return what is wrong with a unit as a UCUM code, or nothing where it is right.

    ``mm``, ``ml``, ``mm2``, ``g/cm3``, ``[hnsf'U]``, ``%``, ``1`` and annotations such as ``{score}`` are right.
    """
    if text and all(_is_term(term) for term in re.split(r"[./]", text)):
        return ""
    meant = _MEANT.get(text) or _MEANT.get(text.rstrip("23"))
    hint = f" - did you mean {meant!r}?" if meant else ""
    return f"{text!r} is no UCUM unit{hint}"


def shown_unit(text: str) -> str:
    """Return a UCUM unit as people read it: ``HU``, ``mm²``, ``g/cm³``; nothing for ``1``, which is no unit."""
    return "" if text == "1" else re.sub(r"[^./]+", lambda term: _shown_term(term[0]), text).replace(".", "·")


def _shown_term(term: str) -> str:
    if term in _SHOWN:
        return _SHOWN[term]
    raised = _POWER.sub(lambda power: power[0].translate(_RAISED), term)
    micro = re.sub(r"^u(?=[A-Za-z])", "µ", raised)
    return re.sub(r"[][{}*^]", "", micro)


def _is_term(term: str) -> bool:
    match = _TERM.match(term)
    if match is None or not term:
        return False
    unit, power, note = match["unit"], match["power"], match["note"]
    if unit is None:
        return power == "1" or (power is None and note is not None)
    return unit in _KNOWN
