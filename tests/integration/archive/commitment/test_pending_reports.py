"""What is owed lies on the disk until it is paid, or until an event says why it never was."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.archive import DeferredEvent, DeferredEvents, PendingReports
from orchestrator.archive.commitment.pending_reports import CommitmentRequest, Reference

ASKED = CommitmentRequest(
    requester="CT1",
    provider="ORCHESTRATOR",
    transaction_uid="1.2.3",
    references=(Reference("1.5", "1.4.1"), Reference("1.5", "1.4.2")),
    requested_at=1_000_000.5,
)


@pytest.fixture
def untold(tmp_path: Path) -> DeferredEvents:
    return DeferredEvents(tmp_path / "untold")


@pytest.fixture
def owed(tmp_path: Path, untold: DeferredEvents) -> PendingReports:
    return PendingReports(tmp_path / "data/owed", untold)


def restarted(tmp_path: Path) -> PendingReports:
    return PendingReports(tmp_path / "data/owed", DeferredEvents(tmp_path / "untold"))


def told(untold: DeferredEvents) -> list[DeferredEvent]:
    found: list[DeferredEvent] = []
    untold.take(found.append)
    return found


def test_what_is_owed_survives_a_restart_as_it_was(owed: PendingReports, tmp_path: Path) -> None:
    owed.add(ASKED)
    assert restarted(tmp_path).load() == [ASKED]


def test_where_nothing_was_ever_asked_nothing_is_owed(owed: PendingReports) -> None:
    assert owed.load() == []


def test_the_oldest_is_taken_up_first(owed: PendingReports, tmp_path: Path) -> None:
    asked = [replace(ASKED, transaction_uid=f"1.{number}", requested_at=float(-number)) for number in range(3)]
    for each in asked:
        owed.add(each)
    assert restarted(tmp_path).load() == asked[::-1]


@pytest.mark.parametrize("status", [0x0000, 0x0001, 0x0107, 0x0116])
def test_what_was_answered_is_owed_no_more(
    owed: PendingReports, untold: DeferredEvents, tmp_path: Path, status: int
) -> None:
    owed.add(ASKED)
    owed.record_answer(ASKED, status)
    assert not owed.is_pending(ASKED)
    assert (restarted(tmp_path).load(), told(untold)) == ([], [])


def test_an_answer_that_comes_twice_is_one(owed: PendingReports, untold: DeferredEvents) -> None:
    owed.add(ASKED)
    for status in (0x0000, 0x0110):
        owed.record_answer(ASKED, status)
    assert told(untold) == []


def test_who_asks_again_before_it_was_told_is_owed_one_report_of_what_it_asked_last(
    owed: PendingReports, tmp_path: Path
) -> None:
    again = replace(ASKED, references=ASKED.references[:1], requested_at=ASKED.requested_at + 1)
    owed.add(ASKED)
    owed.add(again)
    assert (owed.is_pending(ASKED), owed.is_pending(again)) == (False, True)
    assert restarted(tmp_path).load() == [again]


def test_an_answer_to_the_report_before_is_none_to_what_was_asked_again(owed: PendingReports, tmp_path: Path) -> None:
    again = replace(ASKED, requested_at=ASKED.requested_at + 1)
    owed.add(ASKED)
    owed.add(again)
    owed.record_answer(ASKED, 0x0000)
    assert restarted(tmp_path).load() == [again]


@pytest.mark.parametrize("other", [{"requester": "MR1"}, {"provider": "AI_MR"}, {"transaction_uid": "1.2.4"}])
def test_another_requester_and_another_transaction_are_another_debt(
    owed: PendingReports, other: dict[str, str]
) -> None:
    owed.add(ASKED)
    owed.add(different := replace(ASKED, **other))
    owed.record_answer(different, 0x0000)
    assert owed.is_pending(ASKED)


def test_an_ae_title_names_no_path(owed: PendingReports, tmp_path: Path) -> None:
    owed.add(odd := replace(ASKED, requester="../../CT 1/é"))
    assert restarted(tmp_path).load() == [odd]
    assert len(list((tmp_path / "data/owed").iterdir())) == 1


def test_what_was_asked_on_an_association_is_known_by_it(owed: PendingReports) -> None:
    here = [replace(ASKED, transaction_uid=f"1.{number}", association="a") for number in range(2)]
    for each in (*here, replace(ASKED, association="b")):
        owed.add(each)
    owed.record_answer(here[0], 0x0000)
    assert owed.of_association("a") == [here[1]]


BROKEN = [
    b"",
    b"{",
    b"[]",
    b"\xff\xfe",
    json.dumps({"requester": "CT1"}).encode(),
]


@pytest.mark.parametrize("content", BROKEN)
def test_a_broken_file_is_set_aside_with_an_event_and_stops_nothing(
    owed: PendingReports, untold: DeferredEvents, tmp_path: Path, content: bytes
) -> None:
    whole = replace(ASKED, transaction_uid="1.2.4")
    for each in (ASKED, whole):
        owed.add(each)
    (path,) = (tmp_path / "data/owed").glob("1.2.3-*")
    path.write_bytes(content)
    assert restarted(tmp_path).load() == [whole]
    ((kind, subject),) = [(event.kind, event.subject) for event in told(untold)]
    assert (kind, subject) == ("commitment-unreadable", "1.2.3")
    assert path.with_suffix(".broken").read_bytes() == content
    assert restarted(tmp_path).load() == [whole]
    assert told(untold) == []


@pytest.mark.parametrize("changed", [{"transaction_uid": "1.2.9"}, {"references": []}, {"references": [["1", "Doe"]]}])
def test_a_file_that_says_what_cannot_be_is_broken(
    owed: PendingReports, tmp_path: Path, changed: dict[str, object]
) -> None:
    owed.add(ASKED)
    (path,) = (tmp_path / "data/owed").iterdir()
    path.write_text(json.dumps(json.loads(path.read_bytes()) | changed))
    assert restarted(tmp_path).load() == []
    assert path.with_suffix(".broken").exists()


def test_a_name_that_may_be_a_patients_is_in_no_event(
    owed: PendingReports, untold: DeferredEvents, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    owed.add(ASKED)
    (tmp_path / "data/owed/Doe^Jane.json").write_bytes(b"")
    assert restarted(tmp_path).load() == [ASKED]
    assert "Doe" not in str(told(untold)) + caplog.text


def test_half_a_file_of_a_killed_process_was_never_owed(
    owed: PendingReports, untold: DeferredEvents, tmp_path: Path
) -> None:
    owed.add(ASKED)
    half = tmp_path / "data/owed/.0123.part"
    half.write_bytes(b"{")
    assert restarted(tmp_path).load() == [ASKED]
    assert (half.exists(), told(untold)) == (False, [])


def fails(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(where, full)


def test_what_the_disk_does_not_take_is_not_owed(
    owed: PendingReports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails(monkeypatch, "orchestrator.archive.commitment.pending_reports.write_durably")
    with pytest.raises(OSError, match="no space"):
        owed.add(ASKED)
    assert not owed.is_pending(ASKED)
    assert restarted(tmp_path).load() == []


def test_a_debt_stays_until_its_event_is_durable(
    owed: PendingReports, untold: DeferredEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    owed.add(ASKED)
    with monkeypatch.context() as patch:
        fails(patch, "orchestrator.archive.spool.deferred_events.write_durably")
        owed.give_up(ASKED, "why")
        assert owed.is_pending(ASKED)
    owed.give_up(ASKED, "why")
    assert (owed.is_pending(ASKED), told(untold)) == (False, [DeferredEvent("commitment-unreported", "1.2.3", "why")])
