"""Writes settings as TOML or JSON, with every secret masked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.config.values import mask_url

_URLS = ("url", "database")
_MASK = "********"  # as pydantic and mask_url write it


def as_json(values: Mapping[str, Any]) -> str:
    """Return dumped settings as JSON. Pydantic masks secrets, this function masks passwords in URLs."""
    return json.dumps({name: _mask(value) for name, value in values.items()}, indent=2, ensure_ascii=False)


def as_toml(values: Mapping[str, Any]) -> str:
    """Return dumped settings as TOML; secrets and settings without a value become comments."""
    blocks: list[str] = []
    for name, value in values.items():
        tables = value if isinstance(value, list) else [value]
        head = f"[[{name}]]" if isinstance(value, list) else f"[{name}]"
        blocks += ["\n".join([head, *_lines(_mask(table))]) for table in tables]
    return "\n\n".join(blocks) + "\n"


def _lines(table: Mapping[str, Any]) -> Iterator[str]:
    for key, value in table.items():
        if value in (None, "") or _MASK in str(value):
            yield f"# {key} = {value or 'not set'}"
        else:
            yield f"{key} = {json.dumps(value, ensure_ascii=False)}"


def _mask(value: Any) -> Any:
    if isinstance(value, list):
        return [_mask(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {key: mask_url(text) if key in _URLS else text for key, text in value.items()}
