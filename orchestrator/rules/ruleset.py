"""All rules of one file, asked together."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from orchestrator.domain.errors import RulesError
from orchestrator.domain.series import Headers
from orchestrator.rules.explanation import Explanation, RuleExplanation
from orchestrator.rules.origin import refusal
from orchestrator.rules.partial import may_match
from orchestrator.rules.rule import Match, Rule
from orchestrator.rules.unwanted import why_unwanted
from orchestrator.toml import did_you_mean


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The rules of one file, in its order, and the text they were read from."""

    rules: tuple[Rule, ...]
    text: str = ""

    @property
    def digest(self) -> str:
        """sha256 of the file's text, so that a record can say which rules were in force."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def rule(self, name: str) -> Rule:
        """Return the rule of that name.

        Raises RulesError with the nearest name.
        """
        by_name = {rule.name: rule for rule in self.rules}
        if name not in by_name:
            raise RulesError(f"no rule is named {name!r}{did_you_mean(name, by_name) or '.'}")
        return by_name[name]

    def match(self, facts: Headers) -> tuple[Match, ...]:
        """Return the rules that are for the series, the most urgent first.

        Where a hold rule is among them every match is held: its models wait for a person. Two rules
        may name one model. Objects that a machine wrote, and objects that are no images, match nothing.
        """
        if refusal(facts):
            return ()
        rules = sorted((rule for rule in self.rules if rule.matches(facts)), key=lambda rule: rule.priority.rank)
        held_by = next((rule.name for rule in rules if rule.hold), "")
        return tuple(Match(rule.name, rule.models, rule.priority, bool(held_by), held_by) for rule in rules)

    def may_match(self, headers: Headers) -> bool:
        """Return whether any rule could be for a series of which an archive answered these headers.

        What the archive did not answer decides nothing: a series that ``match`` is for is never passed over.
        """
        return may_match(self.rules, headers)

    def why_unwanted(self, headers: Headers) -> str:
        """Return why no rule can be for a series of which ``may_match`` says so; identifying values are hidden."""
        return why_unwanted(self.rules, headers)

    def explain(self, facts: Headers) -> Explanation:
        """Return why each rule did or did not match; agrees with ``match``."""
        refused = refusal(facts)
        if refused:
            return Explanation((), refused)
        return Explanation(tuple(RuleExplanation.of(rule, facts) for rule in self.rules))
