"""The reference of model.toml and its schema for editors say what the manifest itself says."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from orchestrator.worker.manifest.reference import SECTIONS
from tests.docs.model_toml import PAGE, SCHEMA, page, schema_text

ROOT = Path(__file__).parents[2]
SHIPPED = sorted([*ROOT.glob("models/*/model.toml"), *ROOT.glob("plugins/**/model.toml")])
SOUND = """
contract = 1
name = "lesions"
version = "1"
runtime = "onnx"
file = "model.onnx"
segment = [{ label = "Lesion", type = "lesion" }]
"""


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = json.loads(SCHEMA.read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def faults(validator: Draft202012Validator, text: str) -> list[Any]:
    return list(validator.iter_errors(tomllib.loads(text)))


def test_the_page_and_the_schema_are_what_the_manifest_says() -> None:
    assert PAGE.read_text("utf-8") == page(), "python -m tests.docs.model_toml writes it"
    assert SCHEMA.read_text("utf-8") == schema_text(), "python -m tests.docs.model_toml writes it"


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_each_part_has_its_table_and_words_for_each_key(section: Any) -> None:
    parts = {name for name, field in section.model_fields.items() if section.__name__ == "Manifest" and tables(field)}
    described = {name for name, field in section.model_fields.items() if field.description}
    assert described == set(section.model_fields) - parts
    assert f"<!-- keys of {section.__name__} -->" in PAGE.read_text("utf-8")


def tables(field: Any) -> bool:
    """Whether the field is a table of its own, such as ``[input]``."""
    return any(section.__name__ in str(field.annotation) for section in SECTIONS)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)
def test_a_shipped_manifest_is_sound_for_an_editor(validator: Draft202012Validator, path: Path) -> None:
    assert faults(validator, path.read_text()) == []


@pytest.mark.parametrize("example", re.findall(r"```toml\n(contract.*?)```", PAGE.read_text("utf-8"), re.DOTALL))
def test_an_example_of_the_page_is_sound_for_an_editor(validator: Draft202012Validator, example: str) -> None:
    assert faults(validator, example.replace("…", "0" * 64)) == []


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (("version", "versoin"), []),
        (('"onnx"', '"onyx"'), ["runtime"]),
        (('"lesion"', '"leasion"'), ["segment", 0, "type"]),
        (('"Lesion"', "3"), ["segment", 0, "label"]),
        (("file", 'input = { patch = "all" }\nfile'), ["input", "patch"]),
    ],
    ids=lambda value: str(value[1]) if isinstance(value, tuple) else "",
)
def test_an_editor_marks_the_place_of_a_mistake(
    validator: Draft202012Validator, change: tuple[str, str], place: list[str | int]
) -> None:
    assert faults(validator, SOUND) == []
    assert place in [list(fault.absolute_path) for fault in faults(validator, SOUND.replace(*change, 1))]
