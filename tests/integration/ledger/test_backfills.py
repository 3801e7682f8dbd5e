"""Backfills: no day twice, no move that is not allowed, counts that add up."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from orchestrator.domain.errors import ForbiddenTransition, UnknownRecord
from orchestrator.domain.fetching import BackfillDay, BackfillRecord, BackfillState, FetchRecord, FetchState
from orchestrator.domain.hours import Hours
from orchestrator.ledger import Ledger

NOW = datetime.now(UTC)
DAY = date(2026, 3, 1)


def order(**more: Any) -> BackfillRecord:
    known = {"rule": "bones", "archive": "pacs", "first": DAY, "last": date(2026, 3, 31), "created_at": NOW}
    return BackfillRecord(**(known | more))


def item(number: int, series_uid: str, **more: Any) -> FetchRecord:
    return FetchRecord(
        archive="pacs", series_uid=series_uid, study_uid="1.2", run=number, due_at=NOW, changed_at=NOW, **more
    )


def listed(number: int, found: int = 3, skipped: int = 1) -> BackfillDay:
    return BackfillDay(run=number, day=DAY, found=found, skipped=skipped, listed_at=NOW)


def test_an_order_is_kept_as_it_was_given(ledger: Ledger) -> None:
    given = ledger.backfills.add(order(per_hour=60, hours=Hours.parse("20:00-06:00"), newest_first=False))
    assert given.number > 0
    assert ledger.backfills.get(given.number) == given


def test_a_day_is_listed_once(ledger: Ledger) -> None:
    number = ledger.backfills.add(order()).number
    assert ledger.backfills.put_day(listed(number), [item(number, "1.1"), item(number, "1.2")])
    assert not ledger.backfills.put_day(listed(number, found=9), [item(number, "1.3")])
    progress = ledger.backfills.progress(number)
    assert (progress.days, progress.found, progress.skipped, progress.matched) == (1, 3, 1, 2)


def test_a_cancelled_backfill_fetches_nothing_more(ledger: Ledger) -> None:
    number = ledger.backfills.add(order()).number
    ledger.backfills.put_day(listed(number), [item(number, "1.1"), item(number, "1.2", state=FetchState.DONE)])
    ledger.backfills.move(number, BackfillState.CANCELLED, by="Ada")
    assert ledger.backfills.progress(number).fetches == {FetchState.CANCELLED: 1, FetchState.DONE: 1}
    assert [event.by for event in ledger.events.after(subject=f"backfill-{number}")] == ["host", "Ada"]


def test_a_cancelled_backfill_does_not_go_on(ledger: Ledger) -> None:
    number = ledger.backfills.add(order()).number
    ledger.backfills.move(number, BackfillState.CANCELLED)
    with pytest.raises(ForbiddenTransition, match="is cancelled cannot become running"):
        ledger.backfills.move(number, BackfillState.RUNNING)


def test_why_a_backfill_waits_is_told_once(ledger: Ledger) -> None:
    number = ledger.backfills.add(order()).number
    for reason in ("the disk is full", "the disk is full", ""):
        ledger.backfills.record_wait(number, reason)
    kinds = [event.kind for event in ledger.events.after(subject=f"backfill-{number}")]
    assert kinds == ["backfill.running", "backfill-waits"]
    assert ledger.backfills.get(number).error == ""


def test_a_number_that_is_none_is_refused_with_a_sentence(ledger: Ledger) -> None:
    with pytest.raises(UnknownRecord, match="no backfill 7"):
        ledger.backfills.get(7)
