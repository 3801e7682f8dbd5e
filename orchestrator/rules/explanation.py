"""Why each rule did or did not match a series, condition by condition, for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.domain.series import Headers, HeaderValue
from orchestrator.rules.conditions import Condition, values_of
from orchestrator.rules.identity import identifies
from orchestrator.rules.rule import Rule

_VALUES_SHOWN = 6
_CHARACTERS_SHOWN = 64
_HIDDEN = "(hidden)"


@dataclass(frozen=True, slots=True)
class ConditionExplanation:
    """One condition, the values that the series has, and which choice (empty = none) they fit."""

    keyword: str
    wanted: tuple[str, ...]
    found: tuple[HeaderValue, ...]
    fitting: str

    @classmethod
    def of(cls, condition: Condition, facts: Headers) -> ConditionExplanation:
        """Return the explanation of one condition."""
        fitting = condition.fitting(facts)
        wanted = tuple(str(choice) for choice in condition.choices)
        found = values_of(facts, condition.keyword)
        return cls(condition.keyword, wanted, found, str(fitting) if fitting else "")

    @property
    def satisfied(self) -> bool:
        """True where a value fits."""
        return bool(self.fitting)

    def line(self, *, excludes: bool, hide_identity: bool) -> str:
        """Return it in one line with a tick or a cross; an excluding condition must not be satisfied."""
        shown = self._without_identity() if hide_identity else self
        found = _in_words(shown.found, ", ") or "absent"
        if self.satisfied:
            reason = "" if found == shown.fitting else f", fits {shown.fitting}"
        else:
            reason = "" if excludes else f", wanted {_in_words(shown.wanted, ' or ')}"
        return f"{_mark(self.satisfied != excludes)} {self.keyword} is {found}{reason}"

    def to_json(self, hide_identity: bool) -> dict[str, object]:
        """Return keyword, wanted, found and satisfied."""
        shown = self._without_identity() if hide_identity else self
        found = [value if isinstance(value, int | float) else _clipped(value) for value in shown.found[:_VALUES_SHOWN]]
        return {"keyword": self.keyword, "wanted": list(shown.wanted), "found": found, "satisfied": self.satisfied}

    def _without_identity(self) -> ConditionExplanation:
        """Return it without values that tell a person.

        A satisfied rule that names a patient would tell the patient, so what it wants is hidden too.
        """
        if not identifies(self.keyword):
            return self
        found = (_HIDDEN,) if self.found else ()
        return ConditionExplanation(self.keyword, (_HIDDEN,), found, _HIDDEN if self.fitting else "")


@dataclass(frozen=True, slots=True)
class RuleExplanation:
    """One rule: its clauses (any of them), what it excludes (none of it) and the outcome."""

    rule: Rule
    when: tuple[tuple[ConditionExplanation, ...], ...]
    unless: tuple[ConditionExplanation, ...]

    @classmethod
    def of(cls, rule: Rule, facts: Headers) -> RuleExplanation:
        """Return the explanation of one rule; conditions after the first failure are looked at too."""
        when = tuple(tuple(ConditionExplanation.of(condition, facts) for condition in clause) for clause in rule.when)
        unless = tuple(ConditionExplanation.of(condition, facts) for condition in rule.unless)
        return cls(rule, when, unless)

    @property
    def matched(self) -> bool:
        """True where the rule is for the series."""
        wanted = any(all(condition.satisfied for condition in clause) for clause in self.when)
        return wanted and not any(condition.satisfied for condition in self.unless)

    def lines(self, hide_identity: bool) -> Iterator[str]:
        """Yield the block of text about this rule."""
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
        """Return the tree of this rule."""
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
    """Every rule with its reasons, or in ``refused`` why no rule was asked at all."""

    rules: tuple[RuleExplanation, ...]
    refused: str = ""

    @property
    def matched(self) -> bool:
        """True where at least one rule matched, a hold rule included."""
        return bool(self.matches)

    @property
    def matches(self) -> tuple[str, ...]:
        """The names of the rules that matched, in the order of the file."""
        return tuple(explained.rule.name for explained in self.rules if explained.matched)

    @property
    def held(self) -> bool:
        """True where a hold rule matched."""
        return any(explained.matched and explained.rule.hold for explained in self.rules)

    def text(self, *, hide_identity: bool = True) -> str:
        """Return one block per rule, each condition with a tick or a cross and the value found."""
        if self.refused:
            return self.refused
        blocks = ["\n".join(explained.lines(hide_identity)) for explained in self.rules]
        return "\n\n".join([self._summary(), *blocks])

    def to_json(self, *, hide_identity: bool = True) -> str:
        """Return the whole tree as JSON text."""
        tree = {
            "matched": self.matched,
            "held": self.held,
            "refused": self.refused,
            "rules": [explained.to_json(hide_identity) for explained in self.rules],
        }
        return json.dumps(tree, ensure_ascii=False)

    def _summary(self) -> str:
        if not self.matched:
            return f"None of the {len(self.rules)} rules matched."
        held = "; the series is held for a person" if self.held else ""
        return f"{len(self.matches)} of {len(self.rules)} rules matched{held}."


def _mark(good: bool) -> str:
    return "✓" if good else "✗"


def _in_words(values: Sequence[HeaderValue], between: str) -> str:
    shown = [_clipped(value) for value in values[:_VALUES_SHOWN]]
    more = len(values) - len(shown)
    return between.join(shown) + (f" and {more} more" if more else "")


def _clipped(value: HeaderValue) -> str:
    """Return the value on one line: control characters of a header must not reach a terminal."""
    text = f"{value:g}" if isinstance(value, float) else str(value).strip()
    plain = "".join(character if character.isprintable() else " " for character in text)
    return plain if len(plain) <= _CHARACTERS_SHOWN else f"{plain[:_CHARACTERS_SHOWN]}…"
