"""The quiet period of a series follows the way it came."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.app.service.engine.quiet_period import quiet_period
from orchestrator.archive import Arrival
from orchestrator.config import ArchiveSettings, EntitySettings, ReceiverSettings, Settings

SETTINGS = Settings(
    receiver=ReceiverSettings(quiet_seconds=30),
    entities=(EntitySettings(ae_title="FAST", quiet_seconds=0), EntitySettings(ae_title="USUAL")),
    archives=(
        ArchiveSettings(name="slow", url="file:///slow", quiet_seconds=300),
        ArchiveSettings(name="usual", url="file:///usual"),
    ),
)


@pytest.mark.parametrize(
    ("source", "called", "seconds"),
    [
        ("receiver", "ORCHESTRATOR", 30),
        ("receiver", "FAST", 0),
        ("receiver", "USUAL", 30),
        ("slow", "", 300),
        ("usual", "", 30),
        ("", "", 30),
    ],
)
def test_an_archive_and_an_ae_title_have_quiet_periods_of_their_own(source: str, called: str, seconds: float) -> None:
    assert quiet_period(SETTINGS)(Arrival(path=Path("x"), source=source, called=called)) == seconds
