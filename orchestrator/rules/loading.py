"""Reads a rules file; every fault in it is found and reported with its line."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from pydicom._uid_dict import UID_dictionary

from orchestrator.domain.errors import RulesError
from orchestrator.domain.job import Priority
from orchestrator.rules.conditions import Choice, Condition, Pattern, Presence, Range
from orchestrator.rules.keywords import TERMS, Keywords, keyword_of_tag
from orchestrator.rules.kinds import Kind, span
from orchestrator.rules.rule import Clause, Rule
from orchestrator.rules.ruleset import RuleSet
from orchestrator.toml import Document, Faults, Key, did_you_mean, parse, read

RULE_KEYS: Mapping[str, str] = {
    "name": "Text by which people and records know the rule; no two rules share one. Required.",
    "model": "Name of the model that the series goes to.",
    "models": "Names of several models, instead of `model`.",
    "hold": "`true`: the series is held for a person and runs no model, whatever other rules say.",
    "priority": "`stat`, `urgent`, `routine` (default) or `backfill`.",
    "description": "A sentence for people.",
    "when": "Table of conditions, all of which must be satisfied; of several `[[rule.when]]` one is enough. Required.",
    "unless": "Table (or several) of conditions, none of which may be satisfied.",
}


def load_rules(
    path: Path, *, models: Collection[str] | None = None, extra_facts: Mapping[str, str] | None = None
) -> RuleSet:
    """Return the rules of a TOML file.

    models: names that rules may give; None = any. extra_facts: facts that plugins add, name -> kind
    (text, UID, number, date, time, date-time, age).
    Raises RulesError that lists all faults with their lines.
    """
    return _Reader(read(path, RulesError), models, Keywords(extra_facts or {})).rules()


def parse_rules(
    text: str, *, models: Collection[str] | None = None, extra_facts: Mapping[str, str] | None = None
) -> RuleSet:
    """Return the rules of a text, as ``load_rules`` does of a file."""
    return _Reader(parse(text, "rules", RulesError), models, Keywords(extra_facts or {})).rules()


def default_rules() -> RuleSet:
    """Return the shipped rules, which send head T1 MR, CT and burned-in candidates to the shipped models."""
    return parse_rules(resources.files("orchestrator.rules").joinpath("default.toml").read_text("utf-8"))


class _Reader:
    """Turns one document into rules and notes what is wrong on the way."""

    def __init__(self, document: Document, models: Collection[str] | None, keywords: Keywords) -> None:
        self._document = document
        self._faults = Faults(document)
        self._models = models
        self._keywords = keywords
        self._names: set[str] = set()

    def rules(self) -> RuleSet:
        """Return all rules, or raise RulesError with all faults."""
        self._refuse_unknown((), self._document.values, ("rule",), "the file")
        tables = self._document.values.get("rule", [])
        rules: list[Rule] = []
        if not tables:
            self._faults.add((), "the file holds no [[rule]], so no model would ever run")
        if isinstance(tables, list) and all(isinstance(table, dict) for table in tables):
            rules = [self._rule(("rule", index), table) for index, table in enumerate(tables)]
        else:
            self._faults.add(("rule",), "rules begin with [[rule]], in two brackets")
        self._faults.raise_as(RulesError)
        return RuleSet(tuple(rules), self._document.text)

    def _rule(self, at: Key, table: dict[str, Any]) -> Rule:
        self._refuse_unknown(at, table, tuple(RULE_KEYS), "a rule")
        rule = Rule(
            name=self._name(at, table),
            models=self._models_of(at, table),
            when=self._when(at, table),
            unless=self._unless(at, table),
            priority=self._priority(at, table),
            hold=self._hold(at, table),
            description=self._text((*at, "description"), table.get("description", "")),
        )
        if not {"model", "models", "hold"} & table.keys() or (table.get("hold") is False and not rule.models):
            self._faults.add(at, "the rule does nothing: give it a model, or hold = true")
        return rule

    def _refuse_unknown(self, at: Key, table: dict[str, Any], known: Collection[str], where: str) -> None:
        for key in sorted(table.keys() - set(known)):
            self._faults.add((*at, key), f"{key!r} is no key of {where}", key, known)

    def _name(self, at: Key, table: dict[str, Any]) -> str:
        if "name" not in table:
            self._faults.add(at, "the rule has no name")
            return ""
        name = table["name"]
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            self._faults.add((*at, "name"), "the name of a rule is one line of text in quotes")
            return ""
        if name in self._names:
            self._faults.add((*at, "name"), f"another rule is named {name!r} already")
        self._names.add(name)
        return name

    def _models_of(self, at: Key, table: dict[str, Any]) -> tuple[str, ...]:
        if "model" in table and "models" in table:
            self._faults.add((*at, "models"), "give either model or models, not both")
        key = "models" if "models" in table else "model"
        if key not in table:
            return ()
        value = table[key]
        names = value if isinstance(value, list) and key == "models" else [value]
        if not names:
            self._faults.add((*at, key), "the list of models is empty")
        for index, name in enumerate(names):
            self._check_model((*at, key, index), name, names[:index])
        return tuple(name for name in names if isinstance(name, str))

    def _check_model(self, at: Key, name: object, before: list[object]) -> None:
        if not isinstance(name, str) or not name.strip():
            self._faults.add(at, "the name of a model is text in quotes")
        elif name in before:
            self._faults.add(at, f"the model {name!r} is named twice")
        elif self._models is not None and name not in self._models:
            self._faults.add(at, f"no model is named {name!r}", name, self._models)

    def _priority(self, at: Key, table: dict[str, Any]) -> Priority:
        value = table.get("priority", Priority.ROUTINE)
        if value in list(Priority):
            return Priority(value)
        self._faults.add((*at, "priority"), f"{value!r} is no priority; there are {', '.join(Priority)}")
        return Priority.ROUTINE

    def _hold(self, at: Key, table: dict[str, Any]) -> bool:
        value = table.get("hold", False)
        if not isinstance(value, bool):
            self._faults.add((*at, "hold"), "hold is true or false, without quotes")
        return value is True

    def _text(self, at: Key, value: object) -> str:
        if not isinstance(value, str):
            self._faults.add(at, f"{at[-1]} is text in quotes")
            return ""
        return value

    def _when(self, at: Key, table: dict[str, Any]) -> tuple[Clause, ...]:
        if "when" not in table:
            self._faults.add(at, "the rule has no [rule.when]; for every series it is InstanceCount = { min = 1 }")
            return ()
        return self._clauses((*at, "when"), table["when"])

    def _unless(self, at: Key, table: dict[str, Any]) -> Clause:
        if "unless" not in table:
            return ()
        return tuple(condition for clause in self._clauses((*at, "unless"), table["unless"]) for condition in clause)

    def _clauses(self, at: Key, value: object) -> tuple[Clause, ...]:
        """Return the clauses of one table, or of each in a list of tables."""
        tables = value if isinstance(value, list) else [value]
        if not tables:
            self._faults.add(at, f"{at[-1]} is an empty list")
        return tuple(
            self._clause((*at, index) if isinstance(value, list) else at, table) for index, table in enumerate(tables)
        )

    def _clause(self, at: Key, table: object) -> Clause:
        if not isinstance(table, dict):
            self._faults.add(at, 'conditions stand in a table: [rule.when] and then lines as Modality = "CT"')
            return ()
        if not table:
            self._faults.add(at, "the table has no condition")
        conditions = (self._condition((*at, keyword), keyword, value) for keyword, value in table.items())
        return tuple(condition for condition in conditions if condition)

    def _condition(self, at: Key, keyword: str, value: object) -> Condition | None:
        kind = self._kind(at, keyword)
        if kind is None:
            return None
        values = value if isinstance(value, list) else [value]
        if not values:
            self._faults.add(at, f"{keyword} has an empty list, which nothing satisfies")
        choices: list[Choice] = []
        for index, one in enumerate(values):
            try:
                choices.append(_choice(keyword, kind, one))
            except ValueError as fault:
                self._faults.add((*at, index), f"{keyword}: {fault}")
        return Condition(keyword, tuple(choices))

    def _kind(self, at: Key, keyword: str) -> Kind | None:
        try:
            return self._keywords.kind(keyword)
        except LookupError:
            if by_tag := keyword_of_tag(keyword):
                self._faults.add(at, f"{keyword!r} is a tag; write its keyword {by_tag!r}")
            else:
                self._faults.add(at, f"{keyword!r} is no DICOM keyword", keyword, self._keywords.names())
        except ValueError as fault:
            self._faults.add(at, str(fault))
        return None


def _choice(keyword: str, kind: Kind, written: object) -> Choice:
    """Return one choice of a condition.

    Raises ValueError with a sentence.
    """
    if isinstance(written, bool):
        raise ValueError(f"write {{ present = {str(written).lower()} }} to ask whether it is there")
    if isinstance(written, dict):
        return _table(kind, written)
    if kind.is_text:
        return _pattern(keyword, kind, written)
    low, high = span(kind, written)
    return Range(kind, low, high, str(written))


def _table(kind: Kind, written: dict[str, Any]) -> Choice:
    """Return what { present = ... } or { min = ..., max = ... } asks."""
    if written.keys() == {"present"} and isinstance(written["present"], bool):
        return Presence(written["present"])
    if not written or written.keys() - {"min", "max"}:
        raise ValueError("a table here is { min = ..., max = ... }, one of the two, or { present = true or false }")
    if kind.is_text:
        raise ValueError(f'it holds {kind}, which has no range; write patterns such as "*LUNG*"')
    return _range(kind, written)


def _range(kind: Kind, written: dict[str, Any]) -> Range:
    low = span(kind, written["min"])[0] if "min" in written else float("-inf")
    high = span(kind, written["max"])[1] if "max" in written else float("inf")
    if low > high:
        raise ValueError(f"min {written['min']} lies after max {written['max']}, so nothing is between them")
    if len(written) == 2:
        return Range(kind, low, high, f"{written['min']} to {written['max']}")
    return Range(kind, low, high, f"{written['min']} or more" if "min" in written else f"at most {written['max']}")


def _pattern(keyword: str, kind: Kind, written: object) -> Pattern:
    if not isinstance(written, str):
        raise ValueError(f"it holds {kind}; write {str(written)!r} in quotes")
    pattern = Pattern(written.strip())
    if not pattern.text:
        raise ValueError("empty text fits nothing; write { present = false } to ask for absence")
    if "\\" in pattern.text:
        raise ValueError("a backslash stands between values in DICOM; write the value itself, or a list of them")
    if kind is Kind.UID:
        _check_uid(pattern.text)
    if keyword in TERMS:
        _check_term(keyword, pattern)
    return pattern


def _check_uid(text: str) -> None:
    if not set(text) <= set("0123456789.*?"):
        by_name = {entry[0].lower(): uid for uid, entry in UID_dictionary.items()}
        meant = f"; {text!r} is {by_name[text.lower()]}" if text.lower() in by_name else ""
        raise ValueError(f"{text!r} is no UID{meant}")


def _check_term(keyword: str, pattern: Pattern) -> None:
    """Refuse what no image can have: the rule would be false for ever and nobody would know."""
    terms = TERMS[keyword]
    if not pattern.fits(terms):
        hint = f"; there are {', '.join(terms)}" if len(terms) < 10 else did_you_mean(pattern.text, terms)
        raise ValueError(f"it is never {pattern.text!r}{hint}")
