"""An order for a backfill is checked before it is kept, and shown with what is still to do."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.app.operations import backfill
from orchestrator.config import Settings
from orchestrator.domain.errors import UserError
from orchestrator.domain.fetching import BackfillDay, BackfillRecord, FetchRecord, FetchState
from orchestrator.ledger import Ledger

RULES = '[[rule]]\nname = "bones"\nmodel = "bone-volume"\n\n[rule.when]\nModality = "CT"\n'
ORDER: dict[str, Any] = {
    "rule": "bones",
    "archive": "past",
    "first": date(2026, 3, 1),
    "last": date(2026, 3, 10),
    "hours": "20:00-06:00",
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "rules.toml").write_text(RULES)
    return Settings.model_validate(
        {
            "data": {"folder": str(tmp_path / "data")},
            "rules": {"file": str(tmp_path / "rules.toml")},
            "archive": [{"name": "past", "url": tmp_path.as_uri()}],
        }
    )


def test_an_order_is_kept_and_listed(settings: Settings) -> None:
    order = backfill.begin(settings, **ORDER)
    (listed,) = backfill.list_statuses(settings)
    assert listed.order == order
    assert (listed.remaining, listed.share, listed.seconds_left) == (0, 0.0, None)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"rule": "bnes"}, "No rule is named 'bnes'. Did you mean 'bones'"),
        ({"archive": "pst"}, r"no \[\[archive\]\] named 'pst'; there are: past"),
        ({"hours": "at night"}, "is not a range of hours"),
        ({"first": date(2027, 1, 1)}, "the first one comes after the last one"),
        ({"per_hour": 0}, "the pace is 0 series an hour; it can be 1 to 36000"),
        ({"by": " "}, "needs the name of the person"),
    ],
)
def test_what_is_wrong_with_an_order_is_said_at_once(settings: Settings, change: dict[str, Any], fault: str) -> None:
    with pytest.raises(UserError, match=fault):
        backfill.begin(settings, **(ORDER | change))


def test_what_is_still_to_do_is_estimated_from_the_days_that_were_asked_for(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    with closing(Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")) as ledger:
        more = {"hours": None, "created_at": now - timedelta(hours=2)}
        number = ledger.backfills.add(BackfillRecord(**(ORDER | more))).number
        ended = [_item(number, f"1.{index}", FetchState.DONE, begun_at=now) for index in range(30)]
        waiting = [_item(number, f"2.{index}", FetchState.WAITING) for index in range(10)]
        day = BackfillDay(run=number, day=date(2026, 3, 1), found=50, skipped=10, listed_at=now)
        ledger.backfills.put_day(day, [*ended, *waiting])
        found = backfill.find_status(ledger, number)
    assert (found.fetched, found.remaining) == (30, 10 + 9 * 40)
    assert found.share == pytest.approx(0.075)
    assert found.seconds_left == pytest.approx(370 / 30 * 3600, rel=0.01)


def _item(number: int, series_uid: str, state: FetchState, begun_at: datetime | None = None) -> FetchRecord:
    now = datetime.now(UTC)
    return FetchRecord(
        archive="past",
        series_uid=series_uid,
        study_uid="1",
        run=number,
        state=state,
        begun_at=begun_at,
        due_at=now,
        changed_at=now,
    )
