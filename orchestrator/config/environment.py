"""Reads settings from environment variables: ORCHESTRATOR_RECEIVER__PORT is ``port`` of ``[receiver]``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import SecretStr, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from orchestrator.config.section import Section
from orchestrator.config.settings import Settings
from orchestrator.config.values import read_secret
from orchestrator.toml import Key, did_you_mean

PREFIX = "ORCHESTRATOR_"

# variables that Kubernetes and docker links set for a service named orchestrator or orchestrator-...
_SERVICE_LINK = re.compile(
    r"ORCHESTRATOR(_[A-Z0-9]+)*_"
    r"(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9]+)*|PORT_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)"
)
_SERVICE_ADDRESS = re.compile(r"(tcp|udp|sctp)://.*")


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable of this system; ``key`` is the setting that it sets."""

    name: str
    key: Key
    value: Any


def variables(environ: Mapping[str, str]) -> tuple[list[Variable], list[str]]:
    """Return the variables that set something, and one sentence for each faulty one."""
    settings: list[Variable] = []
    faults: list[str] = []
    for name in sorted(environ):
        if not name.startswith(PREFIX) or _is_service_link(name, environ[name]):
            continue
        try:
            settings.append(_variable(name, environ[name]))
        except (LookupError, ValueError) as fault:
            faults.append(f"{name}: {fault.args[0]}")
    return settings, faults + _find_duplicates(settings)


def variable_name(key: Key) -> str:
    """Return the environment variable that sets this key."""
    return PREFIX + "__".join(str(part).upper() for part in key)


def fields() -> Iterator[tuple[Key, type[Section], FieldInfo]]:
    """Yield (key, its table, field) of every setting; lists of tables have the index 0."""
    for name, section in Settings.model_fields.items():
        table, is_list = section_type(section)
        outer: Key = (section.alias or name, 0) if is_list else (name,)
        for inner, field in table.model_fields.items():
            yield (*outer, inner), table, field


def section_type(field: FieldInfo) -> tuple[type[Section], bool]:
    """Return the table behind a field of Settings, and whether it is a list of them."""
    annotation: Any = field.annotation
    is_list = get_origin(annotation) is tuple
    return (get_args(annotation)[0] if is_list else annotation), is_list


def _is_service_link(name: str, value: str) -> bool:
    if "__" in name:
        return False
    return bool(_SERVICE_LINK.fullmatch(name)) or (name.endswith("_PORT") and bool(_SERVICE_ADDRESS.fullmatch(value)))


def _variable(name: str, text: str) -> Variable:
    """Return the variable with its value as a JSON value.

    Raises LookupError for an unknown name, ValueError for a secret that cannot be read.
    """
    key = _key(name)
    known = {_pattern(key): field for key, _, field in fields()}
    if field := known.get(_pattern(key)):
        return Variable(name, key, _value(field, text))
    plain = name.removesuffix("_FILE")
    if plain != name and (field := known.get(_pattern(_key(plain)))):
        secret = read_secret(Path(text)).get_secret_value()
        return Variable(name, _key(plain), _value(field, secret))
    names = [variable_name(key) for key, _, _ in fields()]
    raise LookupError(f"there is no such setting.{did_you_mean(name, names)}")


def _key(name: str) -> Key:
    parts = name.removeprefix(PREFIX).lower().split("__")
    return tuple(int(part) if part.isascii() and part.isdigit() and len(part) < 4 else part for part in parts)


def _pattern(key: Key) -> Key:
    """Return the key with every index as 0, so that it can be looked up."""
    return tuple(0 if isinstance(part, int) else part for part in key)


def _value(field: FieldInfo, text: str) -> Any:
    """Return the text as a value of the field's type; a text that does not fit is refused later, by the settings."""
    annotation: Any = field.annotation
    if annotation is SecretStr:
        return text
    value: Any = text
    if get_origin(annotation) is tuple:
        value = [part.strip() for part in text.split(",") if part.strip()]
    try:
        return to_jsonable_python(TypeAdapter(annotation).validate_python(value))
    except ValidationError:
        return value


def _find_duplicates(settings: list[Variable]) -> list[str]:
    first: dict[Key, str] = {}
    return [
        f"{variable.name}: {first[variable.key]} sets the same setting; remove one of them."
        for variable in settings
        if first.setdefault(variable.key, variable.name) != variable.name
    ]
