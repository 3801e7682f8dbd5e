"""All rules of one file: matches and explains a series."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from orchestrator.domain.errors import RulesError
from orchestrator.domain.series import Headers
from orchestrator.rules.evaluation import may_match
from orchestrator.rules.exclusion import find_exclusion
from orchestrator.rules.explanation import Explanation, RuleExplanation
from orchestrator.rules.mismatch import explain_mismatch
from orchestrator.rules.rule import Match, Rule
from orchestrator.toml import did_you_mean


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The rules of one file in their order, and the text of the file."""

    rules: tuple[Rule, ...]
    text: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of the file's text, so that records can say which rules were in force."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def rule(self, name: str) -> Rule:
        """Return the rule of that name.

        Raises RulesError that suggests the nearest name.
        """
        by_name = {rule.name: rule for rule in self.rules}
        if name not in by_name:
            raise RulesError(f"No rule is named {name!r}.{did_you_mean(name, by_name)}")
        return by_name[name]

    def match(self, facts: Headers) -> tuple[Match, ...]:
        """Return the rules that match the series, the most urgent first.

        Where a hold rule is among them, every match is held until a person decides. Two rules may name one model.
        Series that an AI wrote, and series without images, match nothing.
        """
        if find_exclusion(facts):
            return ()
        rules = sorted((rule for rule in self.rules if rule.matches(facts)), key=lambda rule: rule.priority.rank)
        held_by = next((rule.name for rule in rules if rule.hold), "")
        return tuple(Match(rule.name, rule.models, rule.priority, bool(held_by), held_by) for rule in rules)

    def may_match(self, headers: Headers) -> bool:
        """Return whether any rule may match a series of which an archive answered these headers.

        Missing headers count as unknown, so a series that ``match`` would match is never passed over.
        """
        return may_match(self.rules, headers)

    def explain_mismatch(self, headers: Headers) -> str:
        """Return why no rule can match a series for which ``may_match`` is False; identifying values are hidden."""
        return explain_mismatch(self.rules, headers)

    def explain(self, facts: Headers) -> Explanation:
        """Return why each rule did or did not match; agrees with ``match``."""
        if exclusion := find_exclusion(facts):
            return Explanation((), exclusion)
        return Explanation(tuple(RuleExplanation.of(rule, facts) for rule in self.rules))
