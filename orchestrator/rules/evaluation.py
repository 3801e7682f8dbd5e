"""Evaluates a rule on incomplete facts: an archive's answer says less than the images do.

Three-valued logic (Kleene): True and False hold whatever the missing facts are; None means that they decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from orchestrator.domain.series import Headers
from orchestrator.rules.conditions import Condition, values_of
from orchestrator.rules.exclusion import find_exclusion
from orchestrator.rules.ledger_facts import LedgerFacts
from orchestrator.rules.rule import Clause, Rule

Ternary = bool | None
"""True, False or None (undecided)."""
IsComplete = Callable[[str], bool]
"""Returns whether the facts hold all values of a keyword; a keyword that is surely absent counts as complete."""


def evaluate_from_ledger(rule: Rule, ledger_facts: LedgerFacts) -> Ternary:
    """Return whether the rule matches a series with these facts, None where facts that were left out decide."""
    facts: Headers = {keyword: tuple(values) for keyword, values in ledger_facts.items() if values is not None}
    return evaluate(rule, facts, lambda keyword: ledger_facts.get(keyword, ()) is not None)


def evaluate(rule: Rule, facts: Headers, is_complete: IsComplete) -> Ternary:
    """Return whether the rule matches the series, None where incomplete keywords decide.

    The full facts never contradict the answer: True stays a match, False stays none.
    """
    if find_exclusion(facts):
        return False
    match = _evaluate_conditions(rule, facts, is_complete)
    return None if match and not is_complete("Modality") else match  # the series may hold no images


def _evaluate_conditions(rule: Rule, facts: Headers, is_complete: IsComplete) -> Ternary:
    selects = _any(_evaluate_clause(clause, facts, is_complete) for clause in rule.when)
    excludes = _any(_evaluate_condition(condition, facts, is_complete) for condition in rule.unless)
    return _all((selects, None if excludes is None else not excludes))


def may_match(rules: Iterable[Rule], headers: Headers) -> bool:
    """Return whether any of the rules may match a series of which an archive answered these headers.

    A keyword without a value counts as unknown: archives leave out what they do not index.
    """
    return any(
        evaluate(rule, headers, lambda keyword: bool(values_of(headers, keyword))) is not False for rule in rules
    )


def _evaluate_condition(condition: Condition, facts: Headers, is_complete: IsComplete) -> Ternary:
    return condition.is_satisfied_by(facts) if is_complete(condition.keyword) else None


def _evaluate_clause(clause: Clause, facts: Headers, is_complete: IsComplete) -> Ternary:
    return _all(_evaluate_condition(condition, facts, is_complete) for condition in clause)


def _all(answers: Iterable[Ternary]) -> Ternary:
    unique = set(answers)
    if False in unique:
        return False
    return None if None in unique else True


def _any(answers: Iterable[Ternary]) -> Ternary:
    unique = set(answers)
    if True in unique:
        return True
    return None if None in unique else False
