"""Rules judged on a part of the facts: an archive's answer says less than the images do.

Logic of three values (Kleene): True and False hold whatever the missing facts are; None means that they decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from orchestrator.domain.series import Headers
from orchestrator.rules.conditions import Condition, values_of
from orchestrator.rules.kept import KeptFacts
from orchestrator.rules.origin import refusal
from orchestrator.rules.rule import Clause, Rule

Verdict = bool | None
Known = Callable[[str], bool]
"""Whether the facts tell all about a keyword, be it that it is absent."""


def judge_kept(rule: Rule, kept: KeptFacts) -> Verdict:
    """Return whether the rule is for a series with these facts, None where those that are not kept decide."""
    facts: Headers = {keyword: tuple(values) for keyword, values in kept.items() if values is not None}
    return judge(rule, facts, lambda keyword: kept.get(keyword, ()) is not None)


def judge(rule: Rule, facts: Headers, is_known: Known) -> Verdict:
    """Return whether the rule is for the series, None where keywords that are not known decide.

    What the whole facts would say is never contradicted: True stays a match, False stays none.
    """
    if refusal(facts):
        return False
    verdict = _verdict(rule, facts, is_known)
    return None if verdict and not is_known("Modality") else verdict  # it may hold no images


def _verdict(rule: Rule, facts: Headers, is_known: Known) -> Verdict:
    wanted = _any(_all_of(clause, facts, is_known) for clause in rule.when)
    excluded = _any(_judged(condition, facts, is_known) for condition in rule.unless)
    return _all((wanted, None if excluded is None else not excluded))


def may_match(rules: Iterable[Rule], headers: Headers) -> bool:
    """Return whether any of the rules could be for a series of which an archive answered these headers.

    A keyword without a value was not answered: archives leave out what they do not index.
    """
    return any(judge(rule, headers, lambda keyword: bool(values_of(headers, keyword))) is not False for rule in rules)


def _judged(condition: Condition, facts: Headers, is_known: Known) -> Verdict:
    return condition.satisfied_by(facts) if is_known(condition.keyword) else None


def _all_of(clause: Clause, facts: Headers, is_known: Known) -> Verdict:
    return _all(_judged(condition, facts, is_known) for condition in clause)


def _all(verdicts: Iterable[Verdict]) -> Verdict:
    found = set(verdicts)
    if False in found:
        return False
    return None if None in found else True


def _any(verdicts: Iterable[Verdict]) -> Verdict:
    found = set(verdicts)
    if True in found:
        return True
    return None if None in found else False
