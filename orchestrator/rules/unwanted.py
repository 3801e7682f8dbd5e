"""Why no rule can be for a series, by what an archive answered of it: one sentence, for who asks why no AI ran."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.domain.series import Headers
from orchestrator.rules.conditions import Condition, values_of
from orchestrator.rules.explanation import ConditionExplanation
from orchestrator.rules.origin import refusal
from orchestrator.rules.rule import Rule

MOST_RULES = 5
"""Rules whose reasons are told."""


def why_unwanted(rules: Sequence[Rule], headers: Headers) -> str:
    """Return why none of the rules can be for the series; identifying values are hidden.

    Only for a series that ``may_match`` says no to: what decides is then among what the archive answered.
    """
    if refused := refusal(headers):
        return refused
    told = [f"{rule.name}: {'; '.join(_against(rule, headers))}" for rule in rules[:MOST_RULES]]
    more = len(rules) - len(told)
    return ". ".join([*told, *([f"{more} more rules do not fit either"] if more else [])]) or "there are no rules"


def _against(rule: Rule, headers: Headers) -> Iterator[str]:
    """Yield what speaks against a rule: what it excludes, else what the nearest of its alternatives lacks."""
    known = [each for each in rule.unless if values_of(headers, each.keyword)]
    vetoes = [each for each in known if each.satisfied_by(headers)]
    lacks = [[each for each in clause if _lacks(each, headers)] for clause in rule.when]
    for each in vetoes or min(filter(None, lacks), key=len, default=[]):
        line = ConditionExplanation.of(each, headers).line(excludes=bool(vetoes), hide_identity=True)
        yield line.partition(" ")[2] + (", which it excludes" if vetoes else "")


def _lacks(condition: Condition, headers: Headers) -> bool:
    return bool(values_of(headers, condition.keyword)) and not condition.satisfied_by(headers)
