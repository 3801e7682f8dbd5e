"""Images that conflict with those of another sender are kept apart until a person decides."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.archive import Arrival
from orchestrator.dicom import read_instance
from orchestrator.domain.errors import UnknownRecord, UserError
from orchestrator.domain.quarantine import Conflict
from orchestrator.ledger import Ledger
from orchestrator.pipeline.arrival.quarantine import decide
from tests.data.faults import change, ct
from tests.data.records import series_record
from tests.parts.intake import Desk


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")) as opened:
        yield opened


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Return the images of the first sender."""
    return ct(tmp_path / "first", seed="ct")


@pytest.fixture
def others(tmp_path: Path) -> list[Path]:
    """Return other pixels under the same UIDs."""
    written = ct(tmp_path / "second", seed="ct")
    change(written, lambda dataset: dataset.update({"PixelData": bytes(len(dataset.PixelData))}))
    return written


def push(desk: Desk, paths: list[Path], calling: str) -> None:
    for path in paths:
        desk.files.senders[path] = calling
        desk.intake.take(Arrival(path=path, calling=calling))


def series_of(path: Path) -> str:
    return read_instance(path).series_uid


def counts(desk: Desk) -> set[Path]:
    """Return the files that count now."""
    return set(desk.routes.files)


def test_the_first_sender_counts_until_a_person_decides(ledger: Ledger, paths: list[Path], others: list[Path]) -> None:
    desk = Desk(ledger, paths)
    push(desk, paths, "CT1")
    push(desk, others, "EVIL")
    desk.after(11.0)
    assert counts(desk) == set(paths)
    (waiting,) = ledger.quarantine.waiting()
    assert (waiting.sender, waiting.against, waiting.count) == ("EVIL", "CT1", len(others))
    assert waiting.conflict is Conflict.CONTENT
    (event,) = ledger.events.newest(kind="images-quarantined")
    assert (event.subject, event.text[:30]) == (series_of(paths[0]), "EVIL sent other content under ")


def test_what_a_person_takes_counts_at_once(ledger: Ledger, paths: list[Path], others: list[Path]) -> None:
    desk = Desk(ledger, paths)
    push(desk, paths, "CT1")
    push(desk, others, "PACS")
    desk.after(11.0)
    assert decide(ledger, series_of(paths[0]), "PACS", take=True, by="Ada Okafor") == len(others)
    desk.files.paths = others
    desk.after(2.0)
    desk.after(11.0)
    assert counts(desk) == set(others)
    assert ledger.quarantine.waiting() == ()
    assert ledger.quarantine.to_take_up() == ()
    (event,) = ledger.events.newest(kind="images-taken")
    assert (event.by, event.text) == ("Ada Okafor", f"{len(others)} images from PACS")


def test_what_a_person_refuses_never_counts_not_even_when_it_comes_again(
    ledger: Ledger, paths: list[Path], others: list[Path]
) -> None:
    desk = Desk(ledger, paths)
    push(desk, paths, "CT1")
    push(desk, others, "EVIL")
    decide(ledger, series_of(paths[0]), "EVIL", take=False, by="Ada Okafor")
    push(desk, others, "EVIL")
    desk.after(11.0)
    assert counts(desk) == set(paths)
    assert ledger.quarantine.waiting() == ()


def test_the_same_sender_corrects_its_own_images(ledger: Ledger, paths: list[Path], others: list[Path]) -> None:
    desk = Desk(ledger, others)
    push(desk, paths, "CT1")
    push(desk, others, "CT1")
    desk.after(11.0)
    assert counts(desk) == set(others)


def test_the_same_images_from_another_sender_are_no_conflict(ledger: Ledger, paths: list[Path]) -> None:
    desk = Desk(ledger, paths)
    push(desk, paths, "CT1")
    push(desk, paths, "PACS")
    desk.after(11.0)
    assert counts(desk) == set(paths)
    assert ledger.quarantine.waiting() == ()


def test_a_sender_that_may_replace_does(ledger: Ledger, paths: list[Path], others: list[Path]) -> None:
    desk = Desk(ledger, others, may_replace={"PACS"})
    push(desk, paths, "CT1")
    push(desk, others, "PACS")
    desk.after(11.0)
    assert counts(desk) == set(others)


def test_what_this_host_fetched_itself_counts(ledger: Ledger, paths: list[Path], others: list[Path]) -> None:
    """Also where a C-MOVE brings it, which looks like a push."""
    desk = Desk(ledger, others, may_replace={"archive"})
    push(desk, paths, "CT1")
    desk.files.moved = dict.fromkeys(others, "archive")
    push(desk, others, "PACS")
    desk.after(11.0)
    assert counts(desk) == set(others)


def test_an_image_of_another_patient_in_a_series_of_another_sender_is_kept_apart(
    ledger: Ledger, paths: list[Path], tmp_path: Path
) -> None:
    *mine, foreign = paths
    change([foreign], lambda dataset: dataset.update({"PatientID": "SOMEBODY ELSE"}))
    desk = Desk(ledger, mine)
    push(desk, mine, "CT1")
    push(desk, [foreign], "EVIL")
    desk.after(11.0)
    assert counts(desk) == set(mine)
    assert [each.conflict for each in ledger.quarantine.waiting()] == [Conflict.PATIENT]


def test_a_conflict_with_what_was_released_is_noticed_after_a_restart(
    ledger: Ledger, paths: list[Path], others: list[Path]
) -> None:
    first = [read_instance(path) for path in paths]
    record = series_record(series_uid=first[0].series_uid, study_uid=first[0].study_uid, instance_count=len(first))
    ledger.series.put(record, [replace(instance, sender="CT1") for instance in first])
    desk = Desk(ledger, paths)
    push(desk, others, "EVIL")
    desk.after(11.0)
    assert counts(desk) <= set(paths)
    assert [each.against for each in ledger.quarantine.waiting(series_uid=record.series_uid)] == ["CT1"]


def test_after_a_kill_before_the_first_admission_the_older_content_counts(
    ledger: Ledger, paths: list[Path], others: list[Path]
) -> None:
    """The spool names the newest content of an instance; the sender of the older one came first."""
    (path, *_), (other, *_) = paths, others
    desk = Desk(ledger, [other])
    desk.files.senders = {path: "CT1", other: "EVIL"}
    desk.files.older = (path,)
    desk.intake.recover(desk.files.series_files("", series_of(path)))
    desk.after(11.0)
    assert counts(desk) == {path}
    assert [(each.sender, each.count) for each in ledger.quarantine.waiting()] == [("EVIL", 1)]


def test_a_decision_needs_a_name_and_something_to_decide(ledger: Ledger) -> None:
    with pytest.raises(UserError, match="name of the person"):
        decide(ledger, "1.2", "EVIL", take=True, by=" ")
    with pytest.raises(UnknownRecord, match="no image from EVIL"):
        decide(ledger, "1.2", "EVIL", take=True, by="Ada Okafor")
