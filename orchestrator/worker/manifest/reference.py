"""The reference of model.toml and its JSON schema, both made from the manifest itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python

from orchestrator.domain.concepts import codes
from orchestrator.worker.manifest import schema
from orchestrator.worker.manifest.descriptions import WORDS

SECTIONS: tuple[type[BaseModel], ...] = (
    schema.Manifest,
    schema.Input,
    schema.Window,
    schema.Output,
    schema.SegmentOf,
    schema.MapOf,
    schema.FindingOf,
    schema.DetectionOf,
    schema.MeasurementOf,
    schema.BundleAt,
    schema.ServedAt,
    schema.IntendedFor,
    schema.Needs,
    schema.Weights,
)


def tables() -> dict[str, str]:
    """Return for each part of a manifest a Markdown table with a row per key."""
    return {section.__name__: "\n".join(_rows(section)) for section in SECTIONS}


def _rows(section: type[BaseModel]) -> Iterator[str]:
    yield "| key | meaning | default |"
    yield "|---|---|---|"
    for key, words in WORDS[section.__name__].items():
        yield f"| `{key}` | {words.meaning} | {words.default or _default(section.model_fields[key])} |"


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "required"
    return "none" if field.default is None else f"`{json.dumps(to_jsonable_python(field.default))}`"


def manifest_schema() -> dict[str, Any]:
    """Return the JSON schema (2020-12) of model.toml, with words, for the completion of editors.

    It knows the keys and their values. What needs a second look at the file or at the network (a channel
    that is not there, a digest that differs) only ``models check`` finds.
    """
    told = schema.Manifest.model_json_schema()
    _describe(told, "Manifest")
    for name, part in told["$defs"].items():
        _describe(part, name)
    told["$defs"]["Code"] = _concept()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **told, "title": "model.toml"}


def _describe(part: dict[str, Any], name: str) -> None:
    for key, words in WORDS.get(name, {}).items():
        part["properties"][key]["description"] = words.meaning


def _concept() -> dict[str, Any]:
    return {
        "description": "A coded concept: a plain name, or value, scheme and meaning.",
        "anyOf": [
            {"type": "string", "enum": sorted(codes)},
            {"type": "array", "items": {"type": "string"}, "minItems": 3, "maxItems": 3},
        ],
    }
