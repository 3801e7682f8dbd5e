"""Generates the tables of docs/reference/settings.md from the settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from orchestrator.config.environment import fields, section_type, variable_name
from orchestrator.config.settings import Settings
from orchestrator.toml import Key


def reference() -> str:
    """Return one Markdown section per table of the settings file, with a row per setting."""
    return "\n\n".join(_sections())


def _sections() -> Iterator[str]:
    for name, section in Settings.model_fields.items():
        table, is_list = section_type(section)
        title = section.alias or name
        rows = [_row(key, field) for key, _, field in fields() if key[0] == title]
        head = f"## `[[{title}]]`" if is_list else f"## `[{title}]`"
        columns = "| key | default | environment | meaning |\n| --- | --- | --- | --- |"
        yield f"{head}\n\n{(table.__doc__ or '').strip()}\n\n" + "\n".join([columns, *rows])


def _row(key: Key, field: FieldInfo) -> str:
    return f"| `{key[-1]}` | {_default(field)} | `{variable_name(key)}` | {field.description} |"


def _default(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "shown_default" in extra:
        return str(extra["shown_default"])
    if field.is_required():
        return "required"
    return f"`{_toml(to_jsonable_python(field.default))}`" if field.default not in (None, ()) else "none"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)
