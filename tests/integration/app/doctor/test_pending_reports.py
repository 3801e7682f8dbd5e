"""The doctor names senders that have waited for a report of storage commitment for long."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from orchestrator.app.doctor.installation import Health, check_pending_reports
from orchestrator.app.installation.paths import pending_reports_of
from orchestrator.archive.commitment.pending_reports import CommitmentRequest, Reference
from orchestrator.config import Settings

HOUR_SECONDS = 3600


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.model_validate({"data": {"folder": str(tmp_path / "data")}})


def owe(settings: Settings, *ages_seconds: float) -> None:
    for number, age in enumerate(ages_seconds):
        pending_reports_of(settings).add(
            CommitmentRequest(
                requester="CT1",
                provider="ORCHESTRATOR",
                transaction_uid=f"1.2.{number}",
                references=(Reference("1.5", "1.4.1"),),
                requested_at=time.time() - age,
            )
        )


def test_a_sender_that_waits_for_long_is_named_with_what_it_is_owed(settings: Settings) -> None:
    owe(settings, 2 * HOUR_SECONDS, HOUR_SECONDS)
    (check,) = check_pending_reports(settings)
    assert (check.name, check.health) == ("storage commitment for CT1", Health.WARNING)
    assert check.found.startswith("2 reports pending, the oldest since 20")
    assert "[[sender]] CT1" in check.advice


@pytest.mark.parametrize("ages", [(), (60.0,)], ids=["nothing is owed", "since a minute"])
def test_what_will_come_is_not_worth_a_word(settings: Settings, ages: tuple[float, ...]) -> None:
    owe(settings, *ages)
    assert list(check_pending_reports(settings)) == []


def test_a_file_that_is_no_debt_does_not_keep_the_others_from_being_told(settings: Settings) -> None:
    owe(settings, HOUR_SECONDS)
    (settings.data.folder / "owed" / "1.9-0123456789ab.json").write_bytes(b"{")
    (check,) = check_pending_reports(settings)
    assert check.found.startswith("1 report pending,")
