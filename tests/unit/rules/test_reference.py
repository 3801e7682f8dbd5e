"""The reference says what the code knows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydicom.datadict import keyword_dict
from pydicom.sr.codedict import codes

from orchestrator.rules import parse_rules
from orchestrator.rules.keywords import HOST_FACTS, TERMS
from orchestrator.rules.reference import reference

PAGE = (Path(__file__).parents[3] / "docs/reference/rules.md").read_text("utf-8")


def test_the_page_holds_the_generated_tables() -> None:
    assert reference() in PAGE


@pytest.mark.parametrize("example", re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL))
def test_every_example_of_the_page_is_sound(example: str) -> None:
    assert parse_rules(example).rules


@pytest.mark.parametrize("name", HOST_FACTS)
def test_no_host_fact_hides_a_dicom_keyword(name: str) -> None:
    assert name not in keyword_dict


def test_every_modality_of_the_standard_is_known() -> None:
    standard = codes.cid33  # Modality
    assert {getattr(standard, name).value for name in standard.dir()} <= set(TERMS["Modality"])
