"""Reads the settings; reports all faults of the file and the environment together."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError
from pydantic_core import ErrorDetails

from orchestrator.config.environment import Variable, fields, section_type, variable_name, variables
from orchestrator.config.settings import Settings
from orchestrator.config.values import holds_password
from orchestrator.domain.errors import SettingsError
from orchestrator.toml import Document, Faults, Key, join_faults, read

_MAY_BE_SECRET = ("password", "url", "database", "username")


def load_settings(path: Path | None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings of a file (None = no file); environment variables take precedence.

    Relative paths start at the file's folder, or at the working directory where there is no file.
    Raises SettingsError that lists every fault with its line or its variable.
    """
    document = read(path, SettingsError) if path else Document("the settings", "", {}, {})
    base = path.resolve().parent if path else Path.cwd()
    environment, environment_faults = variables(environ)
    file_faults = Faults(document)
    _refuse_secrets(document.values, file_faults)
    values = _with_tables(document.values)
    environment_faults += list(_overlay(values, environment))
    by_key = {variable.key: variable.name for variable in environment}
    settings = None
    try:
        settings = Settings.model_validate_json(
            json.dumps(values), strict=True, by_alias=True, by_name=False, context={"base": base}
        )
    except ValidationError as fault:
        for error in fault.errors(include_url=False, include_input=False):
            _report(error, values, by_key, file_faults, environment_faults)
    if file_faults or environment_faults or settings is None:
        raise SettingsError(join_faults([*file_faults, *environment_faults]))
    return settings


def _with_tables(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a deep copy that has every table, so that relative defaults start at the right folder too."""
    copy: dict[str, Any] = json.loads(json.dumps(values, default=_mark_moment))
    for name, field in Settings.model_fields.items():
        _, is_list = section_type(field)
        copy.setdefault(field.alias or name, [] if is_list else {})
    return copy


def _mark_moment(moment: object) -> dict[str, str]:
    """Return a date or time as a table, since JSON has none; every setting but a day refuses it."""
    return {"moment": str(moment)}


def _overlay(values: dict[str, Any], environment: Sequence[Variable]) -> Iterator[str]:
    """Replace values of the file by those of the environment; yield a sentence for each index that is out of range."""
    for variable in environment:
        *outer, last = variable.key
        table: Any = values
        for part in outer:
            if isinstance(part, int) and isinstance(table, list) and part == len(table):
                table.append({})
            if isinstance(part, int) and (not isinstance(table, list) or part >= len(table)):
                yield f"{variable.name}: there is no table number {part}; count from 0 without gaps."
                break
            table = table[part]
        else:
            if isinstance(table, dict):
                table[str(last)] = variable.value


def _refuse_secrets(values: Mapping[str, Any], faults: Faults) -> None:
    """Report passwords in the file, in a setting or inside a URL."""
    for (outer, *_, name), _, field in fields():
        tables = values.get(str(outer))
        for index, table in enumerate(tables if isinstance(tables, list) else [tables]):
            if not isinstance(table, dict) or name not in table:
                continue
            key: Key = (outer, index, name) if isinstance(tables, list) else (outer, name)
            if field.annotation is SecretStr:
                faults.add(
                    key, f"{name} does not belong in this file; write it to another file and set {name}_file to that"
                )
            elif isinstance(table[str(name)], str) and name in _MAY_BE_SECRET and holds_password(table[str(name)]):
                faults.add(key, f"the password in {name} does not belong in this file; write it to a file of its own")


def _report(
    error: ErrorDetails,
    values: Mapping[str, Any],
    by_key: Mapping[Key, str],
    file_faults: Faults,
    environment_faults: list[str],
) -> None:
    key: Key = error["loc"]
    names = [str(field[-1]) for field, _, _ in fields() if field[0] == key[0]] if len(key) > 1 else _TABLES
    sentence = _sentence(error, key, _describe_value(values, key))
    if key in by_key:
        environment_faults.append(f"{by_key[key]}: {sentence}.")
    elif error["type"] == "extra_forbidden":
        file_faults.add(key, sentence, str(key[-1]), names)
    else:
        file_faults.add(key, sentence)


_TABLES = [field.alias or name for name, field in Settings.model_fields.items()]


def _sentence(error: ErrorDetails, key: Key, value: str) -> str:
    """Return the fault in the words of the settings file, not of pydantic."""
    name = str(key[-1]) if key else "the file"
    match error["type"]:
        case "extra_forbidden":
            return f"{name!r} is not a setting" + (f" of [{key[0]}]" if len(key) > 1 else "")
        case "missing":
            return f"[[{key[0]}]] needs {name}; write it here, or set {variable_name(key)}"
        case "value_error":
            return str(error["ctx"]["error"])
        case "model_type" | "model_attributes_type":
            return f"{key[0]} is a table; write [{key[0]}]"
        case "tuple_type" if len(key) == 1:
            return f"{name} is a list of tables; write [[{name}]]"
        case "string_pattern_mismatch":
            return f"{name} may have letters, digits, dot, dash and underscore only, 64 at most{value}"
    return f"{_name_of(key)} {error['msg'].replace('Input should', 'should')}{value}"


def _name_of(key: Key) -> str:
    return f"{key[-2]}, number {key[-1] + 1}," if isinstance(key[-1], int) else str(key[-1])


def _describe_value(values: Any, key: Key) -> str:
    """Return ``, found VALUE``, empty where the value may be a secret."""
    if any(part in _MAY_BE_SECRET for part in key):
        return ""
    try:
        for part in key:
            values = values[part]
    except (LookupError, TypeError):
        return ""
    return f", found {values!r}" if isinstance(values, str | int | float) and len(str(values)) < 80 else ""
