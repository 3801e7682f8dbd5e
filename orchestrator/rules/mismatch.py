"""Explains in one sentence why no rule can match a series, from what an archive answered about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.domain.series import Headers
from orchestrator.rules.conditions import Condition, values_of
from orchestrator.rules.exclusion import find_exclusion
from orchestrator.rules.explanation import ConditionExplanation
from orchestrator.rules.rule import Rule

MOST_RULES = 5
"""Rules that the sentence explains; it only counts the others."""


def explain_mismatch(rules: Sequence[Rule], headers: Headers) -> str:
    """Return why none of the rules can match the series; identifying values are hidden.

    Only for a series for which ``may_match`` is False: the reason is then among the headers.
    """
    if exclusion := find_exclusion(headers):
        return exclusion
    reasons = [f"{rule.name}: {'; '.join(_reasons(rule, headers))}" for rule in rules[:MOST_RULES]]
    rest = len(rules) - len(reasons)
    return ". ".join([*reasons, *([f"{rest} more rules do not match either"] if rest else [])]) or "there are no rules"


def _reasons(rule: Rule, headers: Headers) -> Iterator[str]:
    """Yield what excludes the series, else what the nearest clause of the rule misses."""
    known = [condition for condition in rule.unless if values_of(headers, condition.keyword)]
    vetoes = [condition for condition in known if condition.is_satisfied_by(headers)]
    misses = [[condition for condition in clause if _is_missed(condition, headers)] for clause in rule.when]
    for condition in vetoes or min(filter(None, misses), key=len, default=[]):
        line = ConditionExplanation.of(condition, headers).line(excludes=bool(vetoes), hide_identity=True)
        yield line.partition(" ")[2]


def _is_missed(condition: Condition, headers: Headers) -> bool:
    return bool(values_of(headers, condition.keyword)) and not condition.is_satisfied_by(headers)
