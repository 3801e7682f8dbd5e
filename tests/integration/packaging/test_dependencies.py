"""What is imported is asked for, and what is asked for has a version that was tested."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.integration.packaging.closure import PROJECT, ROOT, asked_for, needed, pinned

OPTIONAL = {"torch", "monai", "onnx", "safetensors", "ignite"}
"""Imported only where a model asks for them: extras, or packages of the model's own environment."""
OURS = {"orchestrator", *(path.name for path in (ROOT / "plugins").glob("*/orchestrator_*"))}
PART_OF = {"pydantic_core": "pydantic", "starlette": "fastapi", "markupsafe": "jinja2"}
"""Comes with a package that is declared, in the version that this package chooses."""


def _imported() -> Iterator[str]:
    for folder in ("orchestrator", "plugins"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Import):
                    yield from (alias.name.partition(".")[0] for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    yield node.module.partition(".")[0]


@cache
def _providers() -> dict[str, list[str]]:
    return dict(metadata.packages_distributions())


@pytest.mark.parametrize("module", sorted({*_imported()} - sys.stdlib_module_names - OURS - OPTIONAL))
def test_what_is_imported_is_a_declared_dependency(module: str) -> None:
    declared = {canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"]}
    providers = {canonicalize_name(name) for name in _providers().get(PART_OF.get(module, module), ())}
    assert providers & declared, f"{module} comes from {providers}, and the project asks for none of them"


@pytest.mark.parametrize("text", asked_for())
def test_what_is_asked_for_is_pinned_to_a_version_that_suits(text: str) -> None:
    requirement = Requirement(text)
    pin = pinned().get(canonicalize_name(requirement.name))
    assert pin is not None, "python -m tests.integration.packaging.closure writes constraints.txt anew"
    assert pin in requirement.specifier


def test_whatever_that_leads_to_is_pinned_too() -> None:
    here = {canonicalize_name(each.name) for each in metadata.distributions()}
    asked = [text for text in asked_for() if canonicalize_name(Requirement(text).name) in here]
    assert needed(asked).keys() <= pinned().keys()


def test_the_tests_run_with_what_is_pinned() -> None:
    installed = {
        canonicalize_name(each.name): Version(Version(each.version).public) for each in metadata.distributions()
    }
    assert {name: pin for name, pin in pinned().items() if installed.get(name, pin) != pin} == {}
