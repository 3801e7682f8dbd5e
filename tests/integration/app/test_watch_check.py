"""The doctor says how each watch stands, from what the watcher put down."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestrator.app.doctor import Health, watch_check
from orchestrator.config import Settings
from orchestrator.domain.fetching import FetchRecord
from orchestrator.jobs import Ledger


def now() -> datetime:
    return datetime.now(UTC)


def looked(ledger: Ledger, at: datetime) -> None:
    fetch = FetchRecord(archive="pacs", series_uid="1.1", study_uid="1", due_at=at, changed_at=at)
    ledger.looked("pacs", "1", [fetch], at)


@pytest.mark.parametrize(
    ("happened", "health", "found"),
    [
        (lambda ledger: None, Health.WARNING, "last look: never"),
        (lambda ledger: looked(ledger, now() - timedelta(hours=1)), Health.WARNING, "last look: 2"),
        (lambda ledger: looked(ledger, now()), Health.GOOD, "waiting 1"),
        (lambda ledger: ledger.watch_waits("pacs", "it does not answer", now()), Health.BAD, "it does not answer"),
    ],
)
def test_a_watch_is_told_as_it_stands(
    tmp_path: Path, happened: Callable[[Ledger], None], health: Health, found: str
) -> None:
    archive = {"name": "pacs", "url": "orthanc+http://127.0.0.1:1", "watch": True}
    settings = Settings.model_validate({"data": {"folder": str(tmp_path / "data")}, "archive": [archive]})
    with closing(Ledger.open(settings.data.database)) as ledger:
        happened(ledger)
    check = watch_check(settings.archives[0], settings)
    assert check.health is health
    assert found in check.found
