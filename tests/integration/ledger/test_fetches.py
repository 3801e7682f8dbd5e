"""Watches and fetches: a cursor moves with what was found, and an outage is told once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from orchestrator.domain.fetching import FetchRecord, FetchState
from orchestrator.ledger import Ledger

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def fetch(series_uid: str = "1.2.3", **more: object) -> FetchRecord:
    known = {"archive": "pacs", "study_uid": "1.2", "due_at": NOON, "changed_at": NOON}
    return FetchRecord(series_uid=series_uid, **(known | more))  # type: ignore[arg-type]


def test_an_archive_that_was_never_looked_at_has_no_cursor(ledger: Ledger) -> None:
    assert ledger.watches.get("pacs").cursor == ""


def test_a_look_keeps_the_cursor_and_what_it_found(ledger: Ledger) -> None:
    ledger.watches.record_scan("pacs", "17", [fetch(count=4)], NOON)
    assert ledger.watches.get("pacs").cursor == "17"
    assert ledger.fetches.find("pacs", ["1.2.3", "1.2.4"]) == {"1.2.3": fetch(count=4)}


def test_the_same_series_may_be_wanted_by_the_watch_and_by_a_backfill(ledger: Ledger) -> None:
    ledger.fetches.put([fetch(), fetch(run=1, rule="bones")])
    assert ledger.fetches.find("pacs", ["1.2.3"])["1.2.3"].rule == ""
    assert ledger.fetches.find("pacs", ["1.2.3"], run=1)["1.2.3"].rule == "bones"


def test_an_outage_is_told_once_when_it_begins_and_once_when_it_is_over(ledger: Ledger) -> None:
    ledger.watches.record_scan("pacs", "17", [], NOON)
    for _ in range(3):
        ledger.watches.record_wait("pacs", "it does not answer", NOON)
    assert (ledger.watches.get("pacs").cursor, ledger.watches.get("pacs").error) == ("17", "it does not answer")
    for _ in range(2):
        ledger.watches.resume("pacs")
    assert ledger.watches.get("pacs").waits_since is None
    assert [event.kind for event in ledger.events.after(subject="pacs")] == ["watch-waits", "watch-goes-on"]


def test_series_that_are_half_here_are_counted_by_archive(ledger: Ledger) -> None:
    begun = {"begun_at": NOON, "attempts": 1}
    ledger.fetches.put(
        [
            fetch("1.1", **begun),
            fetch("1.2", state=FetchState.FETCHING, **begun),
            fetch("1.3", archive="vna", **begun),
            fetch("1.4"),
            fetch("1.5", state=FetchState.FETCHED, **begun),
            fetch("1.6", run=1, rule="bones", **begun),
        ]
    )
    assert ledger.fetches.partial() == {"pacs": 2, "vna": 1}


def test_what_is_due_first_is_listed_first_and_what_is_not_due_is_left_out(ledger: Ledger) -> None:
    later = NOON + timedelta(seconds=1)
    ledger.fetches.put([fetch("1.3", due_at=later), fetch("1.2"), fetch("1.1", state=FetchState.FETCHED)])
    assert [each.series_uid for each in ledger.fetches.search("pacs", 0, FetchState.WAITING)] == ["1.2", "1.3"]
    assert [each.series_uid for each in ledger.fetches.search("pacs", 0, FetchState.WAITING, due_by=NOON)] == ["1.2"]


def test_the_newest_fetch_that_began_says_for_which_rule_a_series_came(ledger: Ledger) -> None:
    ledger.fetches.put(
        [
            fetch(begun_at=NOON),
            fetch(run=1, rule="bones", begun_at=NOON + timedelta(minutes=1)),
            fetch(run=2, rule="lungs"),
        ]
    )
    brought = ledger.fetches.of_series("pacs", "1.2.3")
    assert brought is not None
    assert brought.rule == "bones"
    assert ledger.fetches.of_series("other", "1.2.3") is None


def test_a_series_is_awaited_while_more_of_it_is_to_come(ledger: Ledger) -> None:
    ledger.fetches.put(
        [
            fetch("1.1"),
            fetch("1.2", state=FetchState.FETCHING, attempts=1),
            fetch("1.3", state=FetchState.FETCHED),
            fetch("1.4", run=1),
            fetch("1.5", run=1, attempts=1),
        ]
    )
    awaited = ledger.fetches.pending(["1.1", "1.2", "1.3", "1.4", "1.5"])
    assert {each.series_uid for each in awaited} == {"1.1", "1.2", "1.5"}


def test_old_fetches_of_a_watch_are_forgotten_when_they_have_ended(ledger: Ledger) -> None:
    done = fetch("1.1", state=FetchState.FETCHED)
    ledger.fetches.put([done, fetch("1.2"), replace(done, series_uid="1.3", run=1)])
    assert ledger.fetches.forget(NOON + timedelta(days=1)) == 1
    assert ledger.fetches.count("pacs")[FetchState.FETCHED] == 0
    assert ledger.fetches.count("pacs")[FetchState.WAITING] == 1


def test_the_fetches_of_a_study_are_those_of_its_watches_the_last_changed_first(ledger: Ledger) -> None:
    later = NOON + timedelta(minutes=1)
    mine = [fetch("1.2.3"), fetch("1.2.4", changed_at=later)]
    ledger.fetches.put([*mine, fetch("1.2.5", run=1), fetch("1.3.3", study_uid="1.3")])
    assert ledger.fetches.of_study("1.2") == (mine[1], mine[0])
