"""Types of values in a model.toml, and the base class of its tables."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)

from orchestrator.domain.code import Code
from orchestrator.domain.concepts import codes
from orchestrator.domain.unit import unit_fault


def _code(value: Any) -> Any:
    """Return the concept from its plain English name or from [value, scheme, meaning]."""
    if isinstance(value, str):
        return codes[value]
    if isinstance(value, list) and len(value) == 3 and all(isinstance(part, str) for part in value):
        return Code(*value)
    raise ValueError('expected a plain name such as "liver", or [value, scheme, meaning]')


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _inside(value: str) -> str:
    """Refuse a path outside the folder."""
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError("expected a path inside the folder")
    return value


def _server(value: str) -> str:
    """Refuse anything but the URL of a server; a user or a query could be a secret, which must not be in this file."""
    parts = urlsplit(value)
    plain = not (parts.query or parts.fragment or parts.username) and ".." not in parts.path and parts.port != 0
    if parts.scheme not in ("http", "https") or not parts.hostname or not plain:
        raise ValueError("expected http://host:port or https://host:port, with or without a path; no user, no query")
    return value.rstrip("/")


def _pinned(value: str) -> str:
    """Refuse a requirement without an exact version, since results must be reproducible from the manifest."""
    from packaging.requirements import InvalidRequirement, Requirement  # imported late: few models need it

    try:
        requirement = Requirement(value)
    except InvalidRequirement:
        raise ValueError(f'{value!r} is not a requirement; write one such as "scipy==1.17.1"') from None
    exact = [one for one in requirement.specifier if one.operator == "==" and not one.version.endswith(".*")]
    if not exact or requirement.url:
        raise ValueError(f'{value!r} has no exact version; write one such as "{requirement.name}==1.2.3"')
    return value


def _unit(value: str) -> str:
    """Refuse a text that is not a UCUM unit."""
    if fault := unit_fault(value):
        raise ValueError(fault)
    return value


Concept = Annotated[Code, BeforeValidator(_code)]
Unit = Annotated[str, AfterValidator(_unit)]
Texts = Annotated[
    tuple[str, ...],
    BeforeValidator(_several),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
Units = Annotated[
    tuple[Unit, ...],
    BeforeValidator(_several),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
Inside = Annotated[str, Field(min_length=1), AfterValidator(_inside)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Pinned = Annotated[str, AfterValidator(_pinned)]
ServerUrl = Annotated[str, AfterValidator(_server)]
ServedName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=128)]
Function = Annotated[str, Field(pattern=r"^[\w.]+:\w+$")]
Runtime = Literal["onnx", "torchscript", "pytorch", "monai-bundle", "remote", "python"]


CONCEPT = 'a plain name such as `"liver"`, or `["10200004", "SCT", "Liver"]`'
LATERALITY = '`"left"`, `"right"` or `"bilateral"`'
"""Texts of the reference for these types."""


class ManifestTable(BaseModel):
    """A table of model.toml, without unknown keys."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        arbitrary_types_allowed=True,
        defer_build=True,  # built at first use, so that other commands start faster
    )
