"""Generates the reference of model.toml and its JSON schema from the manifest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python

from orchestrator.domain.concepts import codes
from orchestrator.worker.manifest.input import Input, Window
from orchestrator.worker.manifest.origin import BundleAt, ServedAt, Weights
from orchestrator.worker.manifest.output import DetectionOf, FindingOf, MapOf, MeasurementOf, Output, SegmentOf
from orchestrator.worker.manifest.schema import Manifest
from orchestrator.worker.manifest.usage import IntendedFor, ResourceLimits

SECTIONS: tuple[type[BaseModel], ...] = (
    Manifest,
    Input,
    Window,
    Output,
    SegmentOf,
    MapOf,
    FindingOf,
    DetectionOf,
    MeasurementOf,
    BundleAt,
    ServedAt,
    IntendedFor,
    ResourceLimits,
    Weights,
)


SHOWN_DEFAULT = "shown_default"
"""Key of a field's extra data with the default for the tables, if the value itself is not clear."""


def tables() -> dict[str, str]:
    """Return a Markdown table for each table of a manifest, with a row per key."""
    return {section.__name__: "\n".join(_rows(section)) for section in SECTIONS}


def _rows(section: type[BaseModel]) -> Iterator[str]:
    """Yield a row for each key that is described; what is a table of its own has none."""
    yield "| key | meaning | default |"
    yield "|---|---|---|"
    for key, field in section.model_fields.items():
        if field.description:
            yield f"| `{key}` | {field.description} | {_default(field)} |"


def _default(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    if isinstance(extra, dict) and SHOWN_DEFAULT in extra:
        return str(extra[SHOWN_DEFAULT])
    if field.default is PydanticUndefined:
        return "required"
    return "none" if field.default is None else f"`{json.dumps(to_jsonable_python(field.default))}`"


def manifest_schema() -> dict[str, Any]:
    """Return the JSON schema (2020-12) of model.toml, with words, for the completion of editors.

    It knows the keys and their values. What needs a second look at the file or at the network (a channel
    that is not there, a digest that differs) only ``models check`` finds.
    """
    made = Manifest.model_json_schema()
    for part in (made, *made["$defs"].values()):
        for value in part.get("properties", {}).values():
            value.pop(SHOWN_DEFAULT, None)
    made["$defs"]["Code"] = _concept()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": "model.toml"}


def _concept() -> dict[str, Any]:
    return {
        "description": "A coded concept: a plain name, or value, scheme and meaning.",
        "anyOf": [
            {"type": "string", "enum": sorted(codes)},
            {"type": "array", "items": {"type": "string"}, "minItems": 3, "maxItems": 3},
        ],
    }
