"""A rule: which series it matches, which models run on them, with which priority, or whether they are held."""

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
        """Return whether the rule matches a series with these facts."""
        selects = any(all(condition.is_satisfied_by(facts) for condition in clause) for clause in self.when)
        return selects and not any(condition.is_satisfied_by(facts) for condition in self.unless)


@dataclass(frozen=True, slots=True)
class Match:
    """A rule that matches a series.

    hold: no model runs until a person decides. Where one hold rule matches, all matches of the series have it.
    held_by: name of the hold rule, empty where none matched.
    """

    rule: str
    models: tuple[str, ...]
    priority: Priority
    hold: bool
    held_by: str = ""
