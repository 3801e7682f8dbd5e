"""The statements are those of the program as it is."""

from __future__ import annotations

import pytest

from orchestrator.app.conformance import dicom_statement
from orchestrator.archive.protocol.command import Status
from orchestrator.archive.protocol.negotiation import STORAGE_CLASSES
from orchestrator.config import Settings
from orchestrator.dicom.objects.write_options import every_class
from tests.docs.statements import PAGES, statement


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_what_the_program_says(name: str) -> None:
    assert PAGES[name].read_text("utf-8") == statement(name), "python -m tests.docs.statements writes it"


def test_every_class_and_status_is_stated() -> None:
    text = statement("dicom")
    assert all(f"`{uid}`" in text for uid in (*STORAGE_CLASSES, *every_class()))
    assert all(f"| {status:04X}H |" in text for status in Status)


def test_it_states_the_titles_and_ports_of_an_installation() -> None:
    settings = {"receiver": {"ae_title": "AI1", "port": 4242, "allow": ["CT1"]}, "entity": [{"ae_title": "AI2"}]}
    text = dicom_statement(Settings.model_validate(settings))
    assert "`AI1`, `AI2`" in text
    assert "port 4242" in text
