"""Reads a rules file and reports all its faults, each with its line."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pydicom._uid_dict import UID_dictionary

from orchestrator.domain.errors import RulesError
from orchestrator.domain.job import Priority
from orchestrator.rules.conditions import Choice, Condition, Existence, Pattern, Range
from orchestrator.rules.keywords import HOST_FACTS, TERMS, Keywords, find_keyword
from orchestrator.rules.rule import Clause, Rule
from orchestrator.rules.ruleset import RuleSet
from orchestrator.rules.values import Kind, parse_span
from orchestrator.toml import Document, Faults, Key, did_you_mean, parse, read

RULE_KEYS: Mapping[str, str] = {
    "name": "Name of the rule in pages, messages and records; unique in the file. Required.",
    "model": "Name of the model to run.",
    "models": "Names of several models, in place of `model`.",
    "hold": "`true`: no model runs on the series until a person decides, whatever other rules say.",
    "priority": "`stat`, `urgent`, `routine` (default) or `backfill`.",
    "description": "A note for people.",
    "when": "Table of conditions that must all hold. Of several `[[rule.when]]` tables one is enough. Required.",
    "unless": "Table, or several, of conditions of which none may hold.",
}


def load_rules(
    path: Path, *, models: Collection[str] | None = None, extra_facts: Mapping[str, str] | None = None
) -> RuleSet:
    """Return the rules of a TOML file.

    models: names that rules may use; None = any. extra_facts: facts of plugins, name -> kind
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
    """Return the shipped rules, which send T1 head MR, CT and images with possible burned-in text to models."""
    return parse_rules(resources.files("orchestrator.rules").joinpath("default.toml").read_text("utf-8"))


class _Reader:
    """Turns one document into rules and collects the faults."""

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
            self._faults.add((), "the file has no [[rule]], so no model would ever run")
        if isinstance(tables, list) and all(isinstance(table, dict) for table in tables):
            rules = [self._rule(("rule", index), table) for index, table in enumerate(tables)]
        else:
            self._faults.add(("rule",), "write [[rule]], in two brackets, earlier each rule")
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
            self._faults.add(at, "the rule has no effect; add a model, or hold = true")
        return rule

    def _refuse_unknown(self, at: Key, table: dict[str, Any], known: Collection[str], where: str) -> None:
        for key in sorted(table.keys() - set(known)):
            self._faults.add((*at, key), f"{key!r} is not a key of {where}", key, known)

    def _name(self, at: Key, table: dict[str, Any]) -> str:
        if "name" not in table:
            self._faults.add(at, "the rule has no name")
            return ""
        name = table["name"]
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            self._faults.add((*at, "name"), "the name of a rule must be one line of text in quotes")
            return ""
        if name in self._names:
            self._faults.add((*at, "name"), f"another rule has the name {name!r}")
        self._names.add(name)
        return name

    def _models_of(self, at: Key, table: dict[str, Any]) -> tuple[str, ...]:
        if "model" in table and "models" in table:
            self._faults.add((*at, "models"), "use either model or models, not both")
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

    def _check_model(self, at: Key, name: object, earlier: list[object]) -> None:
        if not isinstance(name, str) or not name.strip():
            self._faults.add(at, "the name of a model must be text in quotes")
        elif name in earlier:
            self._faults.add(at, f"the list names the model {name!r} twice")
        elif self._models is not None and name not in self._models:
            self._faults.add(at, f"no model is named {name!r}", name, self._models)

    def _priority(self, at: Key, table: dict[str, Any]) -> Priority:
        value = table.get("priority", Priority.ROUTINE)
        if value in list(Priority):
            return Priority(value)
        self._faults.add((*at, "priority"), f"{value!r} is not a priority; write {_in_words(list(Priority))}")
        return Priority.ROUTINE

    def _hold(self, at: Key, table: dict[str, Any]) -> bool:
        value = table.get("hold", False)
        if not isinstance(value, bool):
            self._faults.add((*at, "hold"), "hold must be true or false, without quotes")
        return value is True

    def _text(self, at: Key, value: object) -> str:
        if not isinstance(value, str):
            self._faults.add(at, f"{at[-1]} must be text in quotes")
            return ""
        return value

    def _when(self, at: Key, table: dict[str, Any]) -> tuple[Clause, ...]:
        if "when" not in table:
            self._faults.add(
                at, "the rule has no [rule.when]; to match every series, write InstanceCount = { min = 1 } there"
            )
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
            self._faults.add(at, 'write conditions in a table: [rule.when], then lines such as Modality = "CT"')
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
            self._faults.add(at, f"{keyword} has an empty list, so the rule would never match")
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
            if by_tag := find_keyword(keyword):
                self._faults.add(at, f"{keyword!r} is a tag; write its keyword {by_tag!r}")
            else:
                self._faults.add(at, f"{keyword!r} is not a DICOM keyword", keyword, self._keywords.names())
        except ValueError as fault:
            self._faults.add(at, str(fault))
        return None


def _choice(keyword: str, kind: Kind, value: object) -> Choice:
    """Return one choice of a condition.

    Raises ValueError with a sentence.
    """
    if isinstance(value, bool):
        raise ValueError(f"write {{ present = {str(value).lower()} }} to test whether the attribute has a value")
    if isinstance(value, dict):
        return _table(kind, value)
    if kind.is_text:
        return _pattern(keyword, kind, value)
    low, high = parse_span(kind, value)
    return Range(kind, low, high, str(value))


def _table(kind: Kind, value: dict[str, Any]) -> Choice:
    """Return the choice that { present = ... } or { min = ..., max = ... } stands for."""
    if value.keys() == {"present"} and isinstance(value["present"], bool):
        return Existence(value["present"])
    if not value or value.keys() - {"min", "max"}:
        raise ValueError("in braces write min, max or both, such as { min = 1, max = 3 }, or { present = true }")
    if kind.is_text:
        raise ValueError(f'the keyword holds {kind}, which has no range; write patterns such as "*LUNG*"')
    return _range(kind, value)


def _range(kind: Kind, value: dict[str, Any]) -> Range:
    low = parse_span(kind, value["min"])[0] if "min" in value else float("-inf")
    high = parse_span(kind, value["max"])[1] if "max" in value else float("inf")
    if low > high:
        raise ValueError(f"min {value['min']} is greater than max {value['max']}, so the rule would never match")
    if len(value) == 2:
        return Range(kind, low, high, f"{value['min']} to {value['max']}")
    return Range(kind, low, high, f"{value['min']} or more" if "min" in value else f"at most {value['max']}")


def _pattern(keyword: str, kind: Kind, value: object) -> Pattern:
    if not isinstance(value, str):
        raise ValueError(f"the keyword holds {kind}; write {str(value)!r} in quotes")
    pattern = Pattern(value.strip())
    if not pattern.text:
        raise ValueError("empty text never matches; write { present = false } to test that the attribute is absent")
    if "\\" in pattern.text:
        raise ValueError("a backslash separates values in DICOM; write one value, or a list of values")
    if kind is Kind.UID:
        _check_uid(pattern.text)
    if keyword in TERMS:
        _check_term(keyword, pattern)
    return pattern


def _check_uid(text: str) -> None:
    if not set(text) <= set("0123456789.*?"):
        by_name = {entry[0].lower(): uid for uid, entry in UID_dictionary.items()}
        hint = f"; write {by_name[text.lower()]}" if text.lower() in by_name else ""
        raise ValueError(f"{text!r} is not a UID{hint}")


def _check_term(keyword: str, pattern: Pattern) -> None:
    """Refuse a value that no image can have: the rule would never match, and nobody would notice."""
    terms = TERMS[keyword]
    if not pattern.fits(terms):
        origin = "this host" if keyword in HOST_FACTS else "DICOM"
        hint = f" Write {_in_words(terms)}." if len(terms) < 10 else did_you_mean(pattern.text, terms)
        raise ValueError(f"{pattern.text!r} is not a value of {origin}.{hint}")


def _in_words(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"
