"""An order to retract a version: what it takes back, what it says of it, and that it can be given again."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from pydicom import dcmread
from typer.testing import CliRunner

from orchestrator.app.operations.retract import Retraction
from orchestrator.archive import FolderArchive
from orchestrator.cli.root import build
from orchestrator.domain.errors import ArchiveUnavailable, UserError
from orchestrator.domain.job import JobState
from orchestrator.domain.records import RetractionRecord
from orchestrator.domain.review import ReviewState
from orchestrator.domain.series import StudyIdentity
from orchestrator.ledger import Ledger
from orchestrator.pipeline.delivery.destination import Destination
from tests.data.records import add_jobs, job_record, key_of
from tests.data.series import ct_series
from tests.parts.archive.post import Post
from tests.parts.results import add_result, notes_in

ORDER = RetractionRecord(
    model="finder", model_version="1.0", reason="it swaps sides", by="Ada", organization="Radiology", at=Post.now
)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Path]:
    return ct_series(tmp_path_factory.mktemp("sources"), slices=4, rows=32, columns=32)


@pytest.fixture
def pacs(tmp_path: Path, sources: Sequence[Path]) -> FolderArchive:
    shutil.copytree(sources[0].parent, tmp_path / "pacs")
    return FolderArchive("pacs", tmp_path / "pacs")


@pytest.fixture
def post(tmp_path: Path, pacs: FolderArchive) -> Iterator[Post]:
    with closing(Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")) as ledger:
        yield Post(ledger, tmp_path / "outbox", lambda: {"pacs": Destination("pacs", pacs)})


def add_results(post: Post, sources: Sequence[Path], count: int) -> list[str]:
    """Deliver results of the version, each of another revision of the series."""
    names = [f"result {number}" for number in range(count)]
    for number, name in enumerate(names, 1):
        add_result(post, sources, name, revision=number)
        post.run()
    return [key_of(name) for name in names]


def test_an_order_that_broke_off_goes_on_when_it_is_given_again(post: Post, sources: Sequence[Path]) -> None:
    keys = add_results(post, sources, 3)
    first = Retraction(post.ledger, ORDER)
    first.begin()
    first.retract(keys[0])  # killed after this one
    again = Retraction(post.ledger, replace(ORDER, by="Bob", reason="still wrong"))
    again.begin()
    found = [again.retract(key) for key in again.results()]
    assert [item.is_new for item in found] == [False, True, True]
    assert [post.ledger.reviews.newest(key).by for key in keys] == ["Ada", "Bob", "Bob"]  # type: ignore[union-attr]
    orders = [event for event in post.ledger.events.after(limit=10_000) if event.kind == "retraction.ordered"]
    assert len(orders) == 1


def test_every_result_is_named_by_one_note_however_often_the_order_is_given(
    post: Post, sources: Sequence[Path], tmp_path: Path
) -> None:
    keys = add_results(post, sources, 2)
    for _ in range(3):
        work = Retraction(post.ledger, ORDER)
        work.begin()
        for key in work.results():
            work.retract(key)
        post.run()
    retracted = [note for note in notes_in(tmp_path / "pacs") if note.ConceptNameCodeSequence[0].CodeValue == "113037"]
    assert len(retracted) == len(keys)


def test_each_result_and_the_order_are_in_the_audit_trail_with_who_gave_it(post: Post, sources: Sequence[Path]) -> None:
    (key,) = add_results(post, sources, 1)
    work = Retraction(post.ledger, ORDER)
    work.begin()
    work.retract(key)
    told = {(event.kind, event.by) for event in post.ledger.events.after(limit=10_000) if "retract" in event.kind}
    assert told == {("retraction.ordered", "Ada"), ("review.retracted", "Ada")}


def test_plugins_are_told_of_each_result_once(post: Post, sources: Sequence[Path]) -> None:
    (key,) = add_results(post, sources, 1)
    told: list[tuple[ReviewState, ReviewState]] = []
    work = Retraction(
        post.ledger, ORDER, review_changed=lambda _, before, after: told.append((before.state, after.state))
    )
    work.begin()
    for _ in range(2):
        work.retract(key)
    assert told == [(ReviewState.PENDING, ReviewState.RETRACTED)]


def test_a_look_changes_nothing(post: Post, sources: Sequence[Path]) -> None:
    (key,) = add_results(post, sources, 1)
    add_jobs(post.ledger, job_record("waits", model="finder", model_version="1.0"))
    before = post.ledger.events.last_sequence()
    work = Retraction(post.ledger, ORDER)
    stopped = work.begin(dry_run=True)
    seen = work.preview(key)
    assert ([job.key for job in stopped], seen.sent_to, seen.is_new) == ([key_of("waits")], ("pacs",), True)
    assert post.ledger.events.last_sequence() == before


def test_waiting_jobs_of_the_version_are_held_and_others_are_not(post: Post, sources: Sequence[Path]) -> None:
    add_jobs(post.ledger, job_record("faulty", model="finder", model_version="1.0"))
    add_jobs(post.ledger, job_record("mended", model="finder", model_version="1.1"))
    Retraction(post.ledger, ORDER).begin()
    held, other = post.ledger.jobs.get(key_of("faulty")), post.ledger.jobs.get(key_of("mended"))
    assert held.state is JobState.HELD
    assert held.reason == (
        "finder 1.0 was retracted by Ada: it swaps sides; install another version, then: orchestrator jobs retry"
    )
    assert other.state is JobState.WAITING


def test_an_order_for_a_time_that_is_over_stops_no_job(post: Post, sources: Sequence[Path]) -> None:
    add_jobs(post.ledger, job_record("waits", model="finder", model_version="1.0"))
    assert Retraction(post.ledger, replace(ORDER, until=post.now)).begin() == ()
    assert post.ledger.jobs.get(key_of("waits")).state is JobState.WAITING
    assert post.ledger.withdrawals.find_order("finder", "1.0") is None


def test_only_what_was_written_in_that_time_is_taken_back(post: Post, sources: Sequence[Path]) -> None:
    keys = add_results(post, sources, 3)
    second = post.ledger.reviews.of_job(keys[1])[0].at
    order = replace(ORDER, since=second, until=second + timedelta(seconds=1))
    assert Retraction(post.ledger, order).results() == (keys[1],)


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (replace(ORDER, model_version="7"), "no job of 'finder' '7' is known; its versions are: 1.0"),
        (replace(ORDER, model="fnder"), "its versions are: none"),
        (
            replace(ORDER, since=Post.now, until=Post.now - timedelta(days=1)),
            "ends before it begins",
        ),
        (replace(ORDER, reason=" "), "a retraction needs a reason"),
        (replace(ORDER, by=""), "a retraction needs a name"),
        (replace(ORDER, organization=""), "a retraction needs an organisation"),
    ],
    ids=["version", "model", "time", "reason", "name", "organisation"],
)
def test_a_mistake_in_the_order_is_told_before_anything_is_done(post: Post, order: RetractionRecord, said: str) -> None:
    add_jobs(post.ledger, job_record("waits", model="finder", model_version="1.0"))
    with pytest.raises(UserError, match=said):
        Retraction(post.ledger, order).begin()
    assert post.ledger.jobs.get(key_of("waits")).state is JobState.WAITING


def test_the_accession_number_comes_from_a_file_else_from_the_archive_else_from_nobody(
    post: Post, sources: Sequence[Path], pacs: FolderArchive
) -> None:
    (key,) = add_results(post, sources, 1)
    number = str(dcmread(sources[0]).AccessionNumber)
    seen = Retraction(post.ledger, ORDER, {"pacs": pacs}).preview(key)
    assert (seen.accession_number, seen.accession_from) == (number, "outbox")
    shutil.rmtree(post.outbox / key)
    seen = Retraction(post.ledger, ORDER, {"pacs": pacs}).preview(key)
    assert (seen.accession_number, seen.accession_from) == (number, "pacs")
    assert Retraction(post.ledger, ORDER).preview(key).accession_number is None


def test_an_archive_that_does_not_answer_is_asked_once(post: Post, sources: Sequence[Path]) -> None:
    class Away(FolderArchive):
        asked = 0

        def identity(self, study_uid: str) -> StudyIdentity | None:
            self.asked += 1
            raise ArchiveUnavailable("no answer")

    keys = add_results(post, sources, 2)
    shutil.rmtree(post.outbox)
    away = Away("pacs", post.outbox)
    work = Retraction(post.ledger, ORDER, {"pacs": away})
    assert [work.preview(key).accession_number for key in keys] == [None, None]
    assert away.asked == 1


@pytest.fixture
def settings(tmp_path: Path, post: Post) -> Path:
    file = tmp_path / "orchestrator.toml"
    file.write_text(
        f'[data]\nfolder = "{tmp_path}"\ndatabase = "sqlite:///{tmp_path / "ledger.db"}"\n\n'
        f'[[destination]]\nname = "pacs"\nurl = "file://{tmp_path / "pacs"}"\n'
    )
    return file


def order_by_command(settings: Path, *more: str) -> list[str]:
    told = ["--model", "finder", "--version", "1.0", "--reason", "it swaps sides", "--by", "Ada", "--organization", "R"]
    return ["results", "retract", *told, "-s", str(settings), *more]


def test_the_command_lists_studies_and_accession_numbers(post: Post, sources: Sequence[Path], settings: Path) -> None:
    add_results(post, sources, 2)
    done = run(order_by_command(settings, "--json"))
    image = dcmread(sources[0])
    told = [(item["study_uid"], item["accession_number"], item["sent_to"]) for item in json.loads(done)["results"]]
    assert told == [(image.StudyInstanceUID, image.AccessionNumber, ["pacs"])] * 2


def test_the_command_says_in_words_what_it_did_and_what_it_would_do(
    post: Post, sources: Sequence[Path], settings: Path
) -> None:
    add_results(post, sources, 1)
    accession = str(dcmread(sources[0]).AccessionNumber)
    would, did, again = (run(order_by_command(settings, *flag)) for flag in (["--dry-run"], [], []))
    assert "results that would be retracted: 1 (before: 0); rejection notes: 1" in would
    assert "results retracted: 1 (before: 0); rejection notes: 1" in did
    assert "results retracted: 0 (before: 1); rejection notes: 1" in again
    assert all(accession in said for said in (would, did, again))
    assert not [event for event in post.ledger.events.after(limit=10_000) if accession in event.text]


@pytest.mark.parametrize(
    ("answer", "flags", "code", "state"),
    [
        (b"n\n", [], 1, ReviewState.PENDING),
        (b"y\n", [], 0, ReviewState.RETRACTED),
        (b"", ["--yes"], 0, ReviewState.RETRACTED),
    ],
    ids=["no", "yes", "not to be asked"],
)
def test_at_a_terminal_a_person_is_asked_before_what_cannot_be_undone(
    post: Post, sources: Sequence[Path], settings: Path, answer: bytes, flags: list[str], code: int, state: ReviewState
) -> None:
    (key,) = add_results(post, sources, 1)
    ours, theirs = pty.openpty()
    os.write(ours, answer)
    command = [sys.executable, "-m", "orchestrator", *order_by_command(settings, *flags)]
    try:
        done = subprocess.run(command, stdin=theirs, capture_output=True, text=True, timeout=120, check=False)
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == code, done.stderr
    assert ("results of finder 1.0 to retract for good: 1. Continue?" in done.stderr) is bool(answer)
    assert post.ledger.reviews.newest(key).state is state  # type: ignore[union-attr]


def test_days_are_those_of_this_machine_and_whole(post: Post, sources: Sequence[Path], settings: Path) -> None:
    add_results(post, sources, 1)
    day = f"{post.now.astimezone():%Y-%m-%d}"
    before = f"{post.now.astimezone() - timedelta(days=1):%Y-%m-%d}"
    found = json.loads(run(order_by_command(settings, "--since", day, "--until", day, "--dry-run", "--json")))
    none = json.loads(run(order_by_command(settings, "--until", before, "--dry-run", "--json")))
    assert (len(found["results"]), len(none["results"])) == (1, 0)
    assert datetime.fromisoformat(found["order"]["until"]).astimezone().hour == 23


def run(arguments: list[str]) -> str:
    done = CliRunner().invoke(build(arguments), arguments)
    assert done.exit_code == 0, done.output
    return done.stdout
