"""Deliveries whose process dies or that another process wants as well: none is lost, none is sent twice."""

from __future__ import annotations

import hashlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.domain.job import JobState
from orchestrator.domain.records import DeliveryRecord, DeliveryState
from orchestrator.ledger import Ledger
from orchestrator.pipeline.delivery.attempt import INTERRUPTED, KILLS_PROCESS, NO_OUTCOME, RESTARTS
from orchestrator.pipeline.delivery.destination import Destination
from tests.data.records import key_of
from tests.data.series import ct_series
from tests.integration.pipeline.test_delivery import PacsPost
from tests.integration.pipeline.test_delivery import post as post  # the fixture
from tests.parts.archive.post import Post, finish
from tests.parts.small_sender import HeldArchive

PATIENCE_SECONDS = 60.0  # until a test gives up waiting, on a busy machine; none claims a time
KEY = key_of("one")


def begin(post: PacsPost) -> DeliveryRecord:
    """Begin an attempt that does not end."""
    claimed = post.ledger.deliveries.claim(post.row())
    assert claimed is not None
    return claimed


# --- one process -------------------------------------------------------------------------------------------


def test_of_two_that_claim_a_delivery_one_gets_it(post: PacsPost) -> None:
    post.results("one")
    row = post.row()
    first, second = post.ledger.deliveries.claim(row), post.ledger.deliveries.claim(row)
    assert first is not None
    assert (first.state, first.attempts, second) == (DeliveryState.SENDING, 1, None)


def test_an_attempt_whose_process_died_is_repeated_at_once(post: PacsPost) -> None:
    post.results("one")
    begin(post)
    post.delivery.recover("pacs", after_crash=True)
    assert (post.row().state, post.row().error, post.row().next_attempt_at) == (
        DeliveryState.WAITING,
        INTERRUPTED,
        post.now,
    )
    post.run()
    assert (post.row().state, post.archive.taken) == (DeliveryState.UNCONFIRMED, ["one"])


def test_a_delivery_that_ends_its_process_each_time_is_parked_and_can_be_retried(post: PacsPost) -> None:
    post.results("one")
    for _ in range(RESTARTS + 1):
        assert post.row().state is DeliveryState.WAITING
        begin(post)
        post.delivery.recover("pacs", after_crash=True)
    assert (post.row().state, post.row().error) == (DeliveryState.PARKED, KILLS_PROCESS)
    assert post.ledger.jobs.get(KEY).state is JobState.PARKED
    post.ledger.jobs.move(KEY, JobState.DELIVERING)
    post.ledger.deliveries.move(KEY, "pacs", DeliveryState.WAITING, next_attempt_at=post.now)
    begin(post)
    post.delivery.recover("pacs", after_crash=True)
    assert post.row().state is DeliveryState.WAITING


def test_an_attempt_that_ended_between_two_crashes_counts_from_the_beginning(post: PacsPost) -> None:
    post.results("one")
    for crashes in (RESTARTS, 1):
        for _ in range(crashes):
            begin(post)
            post.delivery.recover("pacs", after_crash=True)
        post.archive.away = True
        post.run()
        post.now += timedelta(hours=1)
    assert post.row().state is DeliveryState.WAITING


def test_a_crash_on_request_counts_against_nothing(post: PacsPost) -> None:
    post.results("one")
    for _ in range(RESTARTS + 3):
        begin(post)
        post.ledger.deliveries.forgive("pacs")
        post.delivery.recover("pacs", after_crash=True)
    assert post.row().state is DeliveryState.WAITING


def test_an_attempt_that_could_not_record_its_outcome_is_made_again_later(post: PacsPost) -> None:
    post.results("one")
    begin(post)
    post.delivery.recover("pacs", after_crash=False)
    row = post.row()
    assert (row.state, row.error) == (DeliveryState.WAITING, NO_OUTCOME)
    assert row.next_attempt_at is not None
    assert row.next_attempt_at > post.now


def test_an_attempt_to_a_destination_that_left_the_settings_is_parked(post: PacsPost) -> None:
    post.results("one")
    begin(post)
    post.destinations = dict
    post.delivery.recover("pacs", after_crash=True)
    assert (post.row().state, post.row().error) == (
        DeliveryState.PARKED,
        "destination 'pacs' is not in the settings any more",
    )


def test_what_follows_from_an_arrival_is_made_up_after_a_crash(post: PacsPost) -> None:
    post.results("one")
    begin(post)
    post.ledger.deliveries.move(KEY, "pacs", DeliveryState.CONFIRMED, ends_attempt=False)  # killed right after this
    assert post.ledger.jobs.get(KEY).state is JobState.DELIVERING
    post.delivery.recover("pacs", after_crash=True)
    assert post.ledger.jobs.get(KEY).state is JobState.DONE
    assert post.ledger.deliveries.unfinished("pacs") == ()


# --- several processes -------------------------------------------------------------------------------------

Start = Callable[[], subprocess.Popen[bytes]]


@pytest.fixture
def results(ledger: Ledger, tmp_path: Path) -> Post:
    """Return three results that are due, and an archive that holds their source images."""
    post = Post(ledger, tmp_path / "outbox", lambda: {"pacs": Destination("pacs", HeldArchive(tmp_path))})
    sources = ct_series(tmp_path / "sources", slices=2, rows=32, columns=32)
    shutil.copytree(sources[0].parent, tmp_path / "archive" / "sources")
    for name in ("one", "two", "three"):
        finish(post, sources, name)
    return post


@pytest.fixture
def start(database_url: str, tmp_path: Path) -> Iterator[Start]:
    """Return a function that starts a process which sends."""
    processes: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.parts.small_sender", database_url, str(tmp_path)]
        processes.append(subprocess.Popen(command, cwd=Path(__file__).parents[3]))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def stores(folder: Path) -> int:
    log = folder / "log"
    return len(log.read_text().splitlines()) if log.exists() else 0


def all_done(post: Post) -> bool:
    return {job.state for job in post.ledger.jobs.search()} == {JobState.DONE}


def assert_each_object_is_there_once(post: Post, folder: Path) -> None:
    """The archive holds the bytes of the outbox, and nothing else that the host wrote."""
    objects = [item for job in post.ledger.jobs.search() for item in post.ledger.objects.of_job(job.key)]
    files = [path for path in (folder / "archive").rglob("2.25.*.dcm") if path.is_file()]
    digests = sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in files)
    assert digests == sorted(item.sha256 for item in objects)


@pytest.mark.parametrize(("hold", "expected_stores"), [("hold-before", 4), ("hold-after", 3)])
def test_a_process_killed_while_it_sends_loses_nothing_and_doubles_nothing(
    results: Post, start: Start, tmp_path: Path, hold: str, expected_stores: int
) -> None:
    (tmp_path / hold).touch()
    process = start()
    until((tmp_path / "held").exists)
    process.kill()
    process.wait()
    (tmp_path / hold).unlink()
    start()
    until(lambda: all_done(results))
    assert stores(tmp_path) == expected_stores  # what the archive took before the kill is not sent again
    assert_each_object_is_there_once(results, tmp_path)


def test_another_process_takes_over_from_one_that_is_killed(results: Post, start: Start, tmp_path: Path) -> None:
    (tmp_path / "hold-after").touch()
    first = start()
    until((tmp_path / "held").exists)
    start()
    time.sleep(1.0)
    assert stores(tmp_path) == 1  # the destination belongs to the first
    first.kill()
    (tmp_path / "hold-after").unlink()
    until(lambda: all_done(results))
    assert stores(tmp_path) == 3
    assert_each_object_is_there_once(results, tmp_path)


def test_a_result_that_kills_each_process_is_parked_and_the_others_are_sent(
    results: Post, start: Start, tmp_path: Path
) -> None:
    (tmp_path / "kill").touch()
    for _ in range(RESTARTS + 1):
        assert start().wait(PATIENCE_SECONDS) == -signal.SIGKILL
    (tmp_path / "kill").unlink()
    start()
    until(lambda: JobState.DELIVERING not in {job.state for job in results.ledger.jobs.search()})
    states = {job.key: job.state for job in results.ledger.jobs.search()}
    assert states == {KEY: JobState.PARKED, key_of("two"): JobState.DONE, key_of("three"): JobState.DONE}


def test_a_process_that_ends_on_request_counts_no_attempt(results: Post, start: Start, tmp_path: Path) -> None:
    (tmp_path / "hold-before").touch()
    for _ in range(RESTARTS + 2):
        process = start()
        until((tmp_path / "held").exists)
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0
        (tmp_path / "held").unlink()
    (tmp_path / "hold-before").unlink()
    start()
    until(lambda: all_done(results))
    assert_each_object_is_there_once(results, tmp_path)
