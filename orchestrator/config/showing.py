"""Settings as text for people and programs, with every secret masked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.config.values import masked_url

_URLS = ("url", "database")
_MASK = "********"  # pydantic's and masked_url's


def as_json(values: Mapping[str, Any]) -> str:
    """Return dumped settings as JSON; pydantic masks secrets, URLs are masked here."""
    return json.dumps({name: _masked(value) for name, value in values.items()}, indent=2, ensure_ascii=False)


def as_toml(values: Mapping[str, Any]) -> str:
    """Return dumped settings as TOML; what is not set, and secrets, stand in comments."""
    blocks: list[str] = []
    for name, value in values.items():
        tables = value if isinstance(value, list) else [value]
        head = f"[[{name}]]" if isinstance(value, list) else f"[{name}]"
        blocks += ["\n".join([head, *_lines(_masked(table))]) for table in tables]
    return "\n\n".join(blocks) + "\n"


def _lines(table: Mapping[str, Any]) -> Iterator[str]:
    for key, value in table.items():
        if value in (None, "") or _MASK in str(value):
            yield f"# {key} = {value or 'not set'}"
        else:
            yield f"{key} = {json.dumps(value, ensure_ascii=False)}"


def _masked(value: Any) -> Any:
    if isinstance(value, list):
        return [_masked(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {key: masked_url(text) if key in _URLS else text for key, text in value.items()}
