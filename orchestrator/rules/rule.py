"""A rule: for which series, which models, how urgently, or held for a person."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.domain.job import Priority
from orchestrator.domain.series import Headers
from orchestrator.rules.conditions import Condition

Clause = tuple[Condition, ...]
"""The conditions of one ``[[rule.when]]``; all of them must be satisfied."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One ``[[rule]]``. ``when``: any clause; ``unless``: no condition may be satisfied."""

    name: str
    models: tuple[str, ...]
    when: tuple[Clause, ...]
    unless: Clause = ()
    priority: Priority = Priority.ROUTINE
    hold: bool = False
    description: str = ""

    def matches(self, facts: Headers) -> bool:
        """Return whether the rule is for a series with these facts."""
        wanted = any(all(condition.satisfied_by(facts) for condition in clause) for clause in self.when)
        return wanted and not any(condition.satisfied_by(facts) for condition in self.unless)


@dataclass(frozen=True, slots=True)
class Match:
    """A rule that is for a series.

    hold: the series waits for a person; where any hold rule matches, every match of the series has it.
    held_by: the name of the hold rule, empty where none matched.
    """

    rule: str
    models: tuple[str, ...]
    priority: Priority
    hold: bool
    held_by: str = ""
