"""Explains for each rule, condition by condition, why it matches a series or not; as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.domain.job import Priority
from orchestrator.domain.series import Headers, HeaderValue
from orchestrator.rules.conditions import Condition, values_of
from orchestrator.rules.identity import is_identifying
from orchestrator.rules.rule import Rule

_MOST_VALUES = 6
_MOST_CHARACTERS = 64
_HIDDEN = "(hidden)"


@dataclass(frozen=True, slots=True)
class ConditionExplanation:
    """One condition of a rule and the values of the series.

    choices: what satisfies the condition; choice: the one that the values fit, empty where none does.
    """

    keyword: str
    choices: tuple[str, ...]
    values: tuple[HeaderValue, ...]
    choice: str

    @classmethod
    def of(cls, condition: Condition, facts: Headers) -> ConditionExplanation:
        """Return the explanation of one condition."""
        choice = condition.find_choice(facts)
        choices = tuple(str(each) for each in condition.choices)
        values = values_of(facts, condition.keyword)
        return cls(condition.keyword, choices, values, str(choice) if choice else "")

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> ConditionExplanation:
        """Return the explanation that ``to_json`` wrote; of several choices the one that fitted is not known."""
        choices, values = tuple(tree["wanted"]), tuple(tree["found"])
        return cls(tree["keyword"], choices, values, " or ".join(choices) if tree["satisfied"] else "")

    @property
    def satisfied(self) -> bool:
        """True where a value fits."""
        return bool(self.choice)

    def line(self, *, excludes: bool, hide_identity: bool) -> str:
        """Return one line of text with a tick or a cross.

        excludes: the condition stands in ``unless``, so that it must not be satisfied.
        """
        view = self._hide_identity() if hide_identity else self
        values = _join(view.values, ", ") or "absent"
        if self.satisfied:
            is_choice = values == view.choice
            if excludes:
                reason = f", excluded by {'the rule' if is_choice else view.choice}"
            else:
                reason = "" if is_choice else f", fits {view.choice}"
        else:
            reason = ", not excluded" if excludes else f", expected {_join(view.choices, ' or ')}"
        return f"{_mark(self.satisfied != excludes)} {self.keyword} is {values}{reason}"

    def to_json(self, hide_identity: bool) -> dict[str, object]:
        """Return keyword, wanted, found and satisfied."""
        view = self._hide_identity() if hide_identity else self
        values = [value if isinstance(value, int | float) else _clip(value) for value in view.values[:_MOST_VALUES]]
        return {"keyword": self.keyword, "wanted": list(view.choices), "found": values, "satisfied": self.satisfied}

    def _hide_identity(self) -> ConditionExplanation:
        """Return the explanation without values that identify a person.

        The choices are hidden too: a satisfied condition on a patient's name reveals that name.
        """
        if not is_identifying(self.keyword):
            return self
        values = (_HIDDEN,) if self.values else ()
        return ConditionExplanation(self.keyword, (_HIDDEN,), values, _HIDDEN if self.choice else "")


@dataclass(frozen=True, slots=True)
class RuleExplanation:
    """One rule: its clauses (any must hold), its exclusions (none may hold) and the outcome."""

    rule: Rule
    when: tuple[tuple[ConditionExplanation, ...], ...]
    unless: tuple[ConditionExplanation, ...]

    @classmethod
    def of(cls, rule: Rule, facts: Headers) -> RuleExplanation:
        """Return the explanation of one rule; conditions after the first failure are included."""
        when = tuple(tuple(ConditionExplanation.of(condition, facts) for condition in clause) for clause in rule.when)
        unless = tuple(ConditionExplanation.of(condition, facts) for condition in rule.unless)
        return cls(rule, when, unless)

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> RuleExplanation:
        """Return the explanation that ``to_json`` wrote; its rule has no conditions."""
        priority = Priority(tree["priority"])
        rule = Rule(tree["rule"], tuple(tree["models"]), when=(), priority=priority, hold=tree["hold"])
        when = tuple(tuple(map(ConditionExplanation.from_json, clause)) for clause in tree["when"])
        return cls(rule, when, tuple(map(ConditionExplanation.from_json, tree["unless"])))

    @property
    def matched(self) -> bool:
        """True where the rule matches the series."""
        selects = any(all(condition.satisfied for condition in clause) for clause in self.when)
        return selects and not any(condition.satisfied for condition in self.unless)

    def lines(self, hide_identity: bool) -> Iterator[str]:
        """Yield the lines of text about this rule."""
        yield f"{_mark(self.matched)} {self.rule.name} -> {self._target()}"
        for number, clause in enumerate(self.when):
            if number:
                yield "  or"
            for condition in clause:
                yield f"    {condition.line(excludes=False, hide_identity=hide_identity)}"
        if self.unless:
            yield "  unless"
        for condition in self.unless:
            yield f"    {condition.line(excludes=True, hide_identity=hide_identity)}"

    def to_json(self, hide_identity: bool) -> dict[str, object]:
        """Return the explanation as a JSON object."""
        return {
            "rule": self.rule.name,
            "models": list(self.rule.models),
            "priority": str(self.rule.priority),
            "hold": self.rule.hold,
            "matched": self.matched,
            "when": [[condition.to_json(hide_identity) for condition in clause] for clause in self.when],
            "unless": [condition.to_json(hide_identity) for condition in self.unless],
        }

    def _target(self) -> str:
        models = f"{', '.join(self.rule.models)} ({self.rule.priority})" if self.rule.models else ""
        return " ".join(filter(None, ["hold" if self.rule.hold else "", models]))


@dataclass(frozen=True, slots=True)
class Explanation:
    """The explanation of every rule. ``exclusion``: why no rule may match the series at all, empty where one may."""

    rules: tuple[RuleExplanation, ...]
    exclusion: str = ""

    @classmethod
    def from_json(cls, text: str) -> Explanation:
        """Return the explanation that ``to_json`` wrote, as the ledger keeps it."""
        tree = json.loads(text)
        return cls(tuple(map(RuleExplanation.from_json, tree["rules"])), tree.get("refused", ""))

    @property
    def keywords(self) -> frozenset[str]:
        """The keywords of all conditions."""
        conditions = (each for rule in self.rules for clause in (*rule.when, rule.unless) for each in clause)
        return frozenset(each.keyword for each in conditions)

    @property
    def matched(self) -> bool:
        """True where at least one rule matched, a hold rule included."""
        return bool(self.matches)

    @property
    def matches(self) -> tuple[str, ...]:
        """The names of the rules that matched, in the order of the file."""
        return tuple(each.rule.name for each in self.rules if each.matched)

    @property
    def held(self) -> bool:
        """True where a hold rule matched."""
        return any(each.matched and each.rule.hold for each in self.rules)

    def text(self, *, hide_identity: bool = True) -> str:
        """Return one block of lines per rule; each condition has a tick or a cross and the values of the series."""
        if self.exclusion:
            return self.exclusion
        blocks = ["\n".join(each.lines(hide_identity)) for each in self.rules]
        return "\n\n".join([self._summary(), *blocks])

    def to_json(self, *, hide_identity: bool = True) -> str:
        """Return all rules as JSON text."""
        tree = {
            "matched": self.matched,
            "held": self.held,
            "refused": self.exclusion,
            "rules": [each.to_json(hide_identity) for each in self.rules],
        }
        return json.dumps(tree, ensure_ascii=False)

    def _summary(self) -> str:
        if not self.matched:
            return f"No rule matched ({_count(len(self.rules))} checked)."
        hold = "; the series is on hold until a person decides" if self.held else ""
        return f"{len(self.matches)} of {_count(len(self.rules))} matched{hold}."


def _count(number: int) -> str:
    return "1 rule" if number == 1 else f"{number} rules"


def _mark(holds: bool) -> str:
    return "✓" if holds else "✗"


def _join(values: Sequence[HeaderValue], separator: str) -> str:
    texts = [_clip(value) for value in values[:_MOST_VALUES]]
    rest = len(values) - len(texts)
    return separator.join(texts) + (f" and {rest} more" if rest else "")


def _clip(value: HeaderValue) -> str:
    """Return the value on one line without control characters, which must not reach a terminal."""
    text = f"{value:g}" if isinstance(value, float) else str(value).strip()
    plain = "".join(character if character.isprintable() else " " for character in text)
    return plain if len(plain) <= _MOST_CHARACTERS else f"{plain[:_MOST_CHARACTERS]}…"
