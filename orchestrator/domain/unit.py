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
_NOTE = re.compile(r"\{[!-z|~]*\}")
_IN_BRACKETS = re.compile(r"\(([^()]*)\)")
_READ = "#"
"""Replaces the content of round brackets once it is checked."""
_FACTOR = re.compile(r"([1-9][0-9]*|#)?(\{\})?")
_TERM = re.compile(r"(?P<unit>(?:[^][0-9{}()./+#-]|\[[^][]*\])+|10\*|10\^)([+-]?[0-9]+)?(\{\})?")
_SHOWN = {"[hnsf'U]": "HU", "[arb'U]": "arb. units", "[iU]": "IU", "[in_i]": "in", "Cel": "°C", "deg": "°"}
_POWER = re.compile(r"((?<=[A-Za-z])|(?<=10[*^]))[+-]?[0-9]+$")
_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "+")
_MEANT = {"HU": "[hnsf'U]", "cc": "ml", "pixels": "{pixels}", "px": "{pixels}", "percent": "%", "degrees": "deg"}


def unit_fault(text: str) -> str:
    """Return what is wrong with a unit as a UCUM code, "" where it is right.

    ``mm``, ``ml``, ``mm2``, ``g/cm3``, ``ml/(100.g.min)``, ``[hnsf'U]``, ``%``, ``1`` and annotations such as
    ``{score}`` are right; a number alone is none but ``1``.
    """
    bare = _NOTE.sub("{}", text)
    if _READ not in bare and _is_unit(bare) and (text == "1" or not text.isdecimal()):
        return ""
    suggestion = _MEANT.get(text) or _MEANT.get(text.rstrip("23"))
    hint = f" - did you mean {suggestion!r}?" if suggestion else ""
    return f"{text!r} is not a UCUM unit{hint}"


def shown_unit(text: str) -> str:
    """Return a UCUM unit for people: ``HU``, ``mm²``, ``g/cm³``; "" for ``1``, which is no unit."""
    return "" if text == "1" else re.sub(r"[^./()]+", lambda term: _shown_term(term[0]), text).replace(".", "·")


def _shown_term(term: str) -> str:
    if term in _SHOWN:
        return _SHOWN[term]
    superscript = _POWER.sub(lambda power: power[0].translate(_RAISED), term)
    micro = re.sub(r"^u(?=[A-Za-z])", "µ", superscript)
    return re.sub(r"[][{}*^]", "", micro)


def _is_unit(text: str) -> bool:
    """Return whether it is a term of UCUM, annotations as ``{}``: the innermost brackets are read first."""
    while inner := _IN_BRACKETS.search(text):
        if not _is_product(inner[1]):
            return False
        text = f"{text[: inner.start()]}{_READ}{text[inner.end() :]}"
    return _is_product(text)


def _is_product(text: str) -> bool:
    return bool(text) and all(_is_component(part) for part in re.split(r"[./]", text.removeprefix("/")))


def _is_component(text: str) -> bool:
    """Return whether it is a unit with or without its power, a whole number, or what was in brackets."""
    if match := _TERM.fullmatch(text):
        return match["unit"] in _KNOWN
    return bool(text) and _FACTOR.fullmatch(text) is not None
