"""Turns a rule into archive queries for a backfill; they find every series that the rule matches, and some others."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date
from itertools import product

from orchestrator.rules.conditions import Choice, Condition, Pattern, Range
from orchestrator.rules.rule import Clause, Rule

PUSHED_DOWN = ("Modality", "StudyDate", "StudyInstanceUID", "SeriesInstanceUID")
"""Keywords that archives match reliably: required keys of study and series (PS3.4 C.6.2.1).

BodyPartExamined and the like are left out: they are optional keys, people type them, and archives compare their case.
"""


def to_query(rule: Rule) -> list[dict[str, str]]:
    """Return matching keys for QIDO-RS or C-FIND, one dictionary per query; their union is a superset.

    ``[{}]`` means that an archive can match nothing of the rule. ``unless`` is never part of a query.
    """
    queries: list[dict[str, str]] = []
    for clause in rule.when:
        queries += [query for query in _queries(clause) if query not in queries]
    return [{}] if {} in queries else queries


def _queries(clause: Clause) -> Iterator[dict[str, str]]:
    """Yield one query per combination of values: an archive takes one value per key, except lists of UIDs."""
    keys = {condition.keyword: values for condition in clause if (values := _values(condition))}
    for combination in product(*keys.values()):
        yield dict(zip(keys, combination, strict=True))


def _values(condition: Condition) -> list[str]:
    """Return the values to query, none where one of the choices cannot be queried."""
    if condition.keyword not in PUSHED_DOWN:
        return []
    values = [_value(choice) for choice in condition.choices]
    return [value for value in values if value] if all(values) else []


def _value(choice: Choice) -> str:
    if isinstance(choice, Pattern) and not choice.has_wildcard:
        return choice.text.upper()
    if isinstance(choice, Range):
        low, high = _date(choice.low), _date(choice.high)
        return low if low == high else f"{low}-{high}"
    return ""


def _date(ordinal: float) -> str:
    """Return the day in DICOM form, empty for the open end of a range (PS3.4 C.2.2.2.5)."""
    return "" if math.isinf(ordinal) else date.fromordinal(int(ordinal)).isoformat().replace("-", "")
