"""The pages on the kit and on checking name everything there is."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from orchestrator import testing
from orchestrator.app.models.contract import checking
from orchestrator.testing import ORIENTATIONS, Phantom, Projection

DOCS = Path(__file__).parents[3] / "docs"
KIT = set(re.findall(r"\w[\w-]*", (DOCS / "reference/testing-kit.md").read_text("utf-8")))


@pytest.mark.parametrize("name", testing.__all__)
def test_every_name_of_the_kit_is_in_its_reference(name: str) -> None:
    assert name in KIT


@pytest.mark.parametrize("kind", [Phantom, Projection])
def test_every_parameter_is_in_the_reference(kind: type) -> None:
    assert {field.name for field in fields(kind)} <= KIT


def test_every_orientation_is_in_the_reference() -> None:
    assert set(ORIENTATIONS) <= KIT


@pytest.mark.parametrize("name", [name for name, _ in (*checking.ALONE, *checking.COMPARED)])
def test_every_check_is_explained(name: str) -> None:
    rows = [line for line in (DOCS / "how-to/check-a-model.md").read_text("utf-8").splitlines() if line[:2] == "| "]
    assert any(name in row.split("|")[1] for row in rows)
