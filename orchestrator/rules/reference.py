"""Generates the tables of docs/reference/rules.md from the code."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.rules.keywords import HOST_FACTS, TERMS
from orchestrator.rules.loading import RULE_KEYS


def reference() -> str:
    """Return the Markdown tables of rule keys, host facts and keywords with a fixed set of values."""
    keys = _table(("key of a rule", "meaning"), ((f"`{key}`", meaning) for key, meaning in RULE_KEYS.items()))
    facts = _table(
        ("fact", "kind", "meaning"),
        ((f"`{fact.name}`", str(fact.kind), fact.description) for fact in HOST_FACTS.values()),
    )
    terms = _table(
        ("keyword", "values"),
        ((f"`{name}`", ", ".join(f"`{term}`" for term in values)) for name, values in TERMS.items()),
    )
    return "\n\n".join((keys, facts, terms))


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
