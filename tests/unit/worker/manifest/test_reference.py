"""The reference pages name everything there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from orchestrator.sdk import hookspecs
from orchestrator.worker.manifest.reference import SECTIONS

DOCS = Path(__file__).parents[4] / "docs" / "reference"


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_every_key_of_a_manifest_is_in_its_reference(section: type[BaseModel]) -> None:
    words = set(re.findall(r"\w+", (DOCS / "model-toml.md").read_text()))
    assert set(section.model_fields) - words == set()


@pytest.mark.parametrize("hook", sorted(hookspecs.HOST_HOOKS | hookspecs.MODEL_HOOKS))
def test_every_hook_is_in_its_reference_with_its_arguments(hook: str) -> None:
    specification = getattr(hookspecs, hook)
    arguments = ", ".join(specification.__code__.co_varnames[: specification.__code__.co_argcount])
    assert f"{hook}({arguments})" in (DOCS / "hooks.md").read_text()


def test_every_specification_is_a_hook_of_the_model_or_of_the_host() -> None:
    marked = {name for name, value in vars(hookspecs).items() if hasattr(value, "orchestrator_spec")}
    assert marked == hookspecs.HOST_HOOKS | hookspecs.MODEL_HOOKS
