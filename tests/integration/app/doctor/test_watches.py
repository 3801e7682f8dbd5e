"""doctor says how each watch stands, from the records of the watcher."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestrator.app.doctor.installation import Health, check_partial_fetches, check_watch
from orchestrator.config import Settings
from orchestrator.domain.fetching import FetchRecord
from orchestrator.ledger import Ledger


def now() -> datetime:
    return datetime.now(UTC)


def looked(ledger: Ledger, at: datetime, error: str = "") -> None:
    fetch = FetchRecord(archive="pacs", series_uid="1.1", study_uid="1", due_at=at, changed_at=at, error=error)
    ledger.watches.record_scan("pacs", "1", [fetch], at)


@pytest.mark.parametrize(("watch", "told"), [(True, 0), (False, 1)])
def test_series_that_are_half_here_are_told_where_nobody_fetches_the_rest(
    tmp_path: Path, *, watch: bool, told: int
) -> None:
    archive = {"name": "pacs", "url": "orthanc+http://127.0.0.1:1", "watch": watch}
    settings = Settings.model_validate({"data": {"folder": str(tmp_path / "data")}, "archive": [archive]})
    half = FetchRecord(archive="pacs", series_uid="1.1", study_uid="1", due_at=now(), changed_at=now(), attempts=1)
    with closing(Ledger.open(settings.data.database)) as ledger:
        ledger.fetches.put([half])
    checks = list(check_partial_fetches(settings))
    assert len(checks) == told
    assert all("1 series" in check.found and "watch = true" in check.advice for check in checks)


@pytest.mark.parametrize(
    ("happened", "health", "found"),
    [
        (lambda ledger: None, Health.WARNING, "last scan: never"),
        (lambda ledger: looked(ledger, now() - timedelta(hours=1)), Health.WARNING, "last scan: 2"),
        (lambda ledger: looked(ledger, now()), Health.GOOD, "waiting 1"),
        (lambda ledger: looked(ledger, now(), error="500 for it"), Health.WARNING, "for example 1.1: 500 for it"),
        (
            lambda ledger: ledger.watches.record_wait("pacs", "it does not answer", now()),
            Health.BAD,
            "it does not answer",
        ),
    ],
)
def test_a_watch_is_told_as_it_stands(
    tmp_path: Path, happened: Callable[[Ledger], None], health: Health, found: str
) -> None:
    archive = {"name": "pacs", "url": "orthanc+http://127.0.0.1:1", "watch": True}
    settings = Settings.model_validate({"data": {"folder": str(tmp_path / "data")}, "archive": [archive]})
    with closing(Ledger.open(settings.data.database)) as ledger:
        happened(ledger)
    check = check_watch(settings.archives[0], settings)
    assert check.health is health
    assert found in check.found
