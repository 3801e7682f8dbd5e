"""A rule as archive queries for backfill: they find every series of the rule, and more to be checked here."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date
from itertools import product

from orchestrator.rules.conditions import Choice, Condition, Pattern, Range
from orchestrator.rules.rule import Clause, Rule

PUSHED_DOWN = ("Modality", "StudyDate", "StudyInstanceUID", "SeriesInstanceUID")
"""Keywords that archives match reliably: required keys of study and series (PS3.4 C.6.2.1), always set in one way.

Not BodyPartExamined and its like: optional keys, compared by archives in upper and lower case, typed by people.
"""


def to_query(rule: Rule) -> list[dict[str, str]]:
    """Return matching keys for QIDO-RS or C-FIND, one dictionary per query; their union is a superset.

    ``[{}]`` means that nothing of the rule can be asked of an archive. ``unless`` is never pushed down.
    """
    queries: list[dict[str, str]] = []
    for clause in rule.when:
        queries += [query for query in _queries(clause) if query not in queries]
    return [{}] if {} in queries else queries


def _queries(clause: Clause) -> Iterator[dict[str, str]]:
    """Yield one query per combination: an archive takes one value per key, lists of UIDs apart."""
    keys = {condition.keyword: values for condition in clause if (values := _values(condition))}
    for combination in product(*keys.values()):
        yield dict(zip(keys, combination, strict=True))


def _values(condition: Condition) -> list[str]:
    """Return what to ask for, nothing where one choice cannot be asked for."""
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
    """Return the day as DICOM writes it, empty for the open end of a range (PS3.4 C.2.2.2.5)."""
    return "" if math.isinf(ordinal) else date.fromordinal(int(ordinal)).isoformat().replace("-", "")
