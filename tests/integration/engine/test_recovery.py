"""Processes that are killed at the worst moment: what was accepted is done, and nothing is done twice without need."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.domain.job import Priority
from orchestrator.engine import Client, Engine, ExecutorInUse, FlowState
from tests.parts import small_engine

PATIENCE_SECONDS = 120.0  # until a test gives up waiting, on a busy machine; none claims a time

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def client(database_url: str) -> Iterator[Client]:
    with Client(database_url) as client:
        yield client


@pytest.fixture
def start(database_url: str, folder: Path) -> Iterator[Start]:
    """Return a function that starts small engines, ``a`` unless told, and returns the last when all are ready."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(*executor_ids: str) -> subprocess.Popen[bytes]:
        ready = [folder / f"{executor_id}.ready" for executor_id in executor_ids or ("a",)]
        for mark in ready:
            mark.unlink(missing_ok=True)
            command = [sys.executable, "-m", "tests.parts.small_engine", database_url, str(folder), mark.stem]
            processes.append(subprocess.Popen(command, cwd=Path(__file__).parents[3]))
        until(lambda: all(mark.exists() for mark in ready) or processes[-1].poll() is not None)
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()


def until(true: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def steps(folder: Path) -> list[str]:
    log = folder / "log"
    return [line.split()[0] for line in log.read_text().splitlines()] if log.exists() else []


def queue(client: Client, flow: str, key: str = "k") -> None:
    assert client.enqueue(flow, key, key, queue=small_engine.QUEUE, priority=Priority.ROUTINE)


def kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def test_a_killed_flow_goes_on_behind_its_last_finished_step(start: Start, client: Client, folder: Path) -> None:
    (folder / "hold").touch()
    queue(client, "three")
    process = start()
    until(lambda: "two" in steps(folder))
    kill(process)
    (folder / "hold").unlink()
    start()
    assert client.wait("three", "k", PATIENCE_SECONDS).state is FlowState.FINISHED
    assert steps(folder) == ["one", "two", "two", "three"]


def test_what_was_queued_while_no_engine_ran_is_done(start: Start, client: Client, folder: Path) -> None:
    kill(start())
    queue(client, "three")
    start()
    assert client.wait("three", "k", PATIENCE_SECONDS).state is FlowState.FINISHED


def test_a_job_that_kills_its_process_is_parked_and_can_be_tried_again(
    start: Start, client: Client, folder: Path
) -> None:
    (folder / "kill").touch()
    queue(client, "killer")
    for _ in range(4):  # the first time, and three more
        assert start().wait(PATIENCE_SECONDS) == -signal.SIGKILL
    survivor = start()
    until(lambda: bool(client.parked()))
    assert [(flow.flow, flow.key, flow.state) for flow in client.parked()] == [("killer", "k", FlowState.PARKED)]
    assert client.parked()[0].error == "the process ended during each of 4 attempts"
    assert survivor.poll() is None

    (folder / "kill").unlink()
    client.rerun("killer", "k")
    assert client.wait("killer", "k", PATIENCE_SECONDS).state is FlowState.FINISHED
    assert client.parked() == ()


def test_an_engine_that_is_closed_counts_no_attempt(start: Start, client: Client, folder: Path) -> None:
    (folder / "hold").touch()
    queue(client, "three")
    for restarts in range(4):  # and the last one below would be one too many
        process = start()
        until(lambda restarts=restarts: steps(folder).count("two") == restarts + 1)  # type: ignore[misc]
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0
    (folder / "hold").unlink()
    start()
    assert client.wait("three", "k", PATIENCE_SECONDS).state is FlowState.FINISHED
    assert steps(folder).count("one") == 1


def test_several_engines_may_start_on_a_new_database_at_once(start: Start, client: Client) -> None:
    start("a", "b", "c")
    queue(client, "three")
    assert client.wait("three", "k", PATIENCE_SECONDS).state is FlowState.FINISHED


def test_an_executor_id_belongs_to_one_process(start: Start, database_url: str, folder: Path) -> None:
    first = start("a")
    engine = Engine(database_url, executor_id="a", lock_folder=folder / "locks", queues=())
    with pytest.raises(ExecutorInUse, match="executor id a is in use by another process"):
        engine.launch()
    kill(first)
    engine.launch()
    engine.close()


def test_the_work_of_a_dead_executor_is_taken_over(
    start: Start, client: Client, database_url: str, folder: Path
) -> None:
    (folder / "hold").touch()
    queue(client, "three")
    process = start("a")
    until(lambda: "two" in steps(folder))
    other = start("b")
    flows = small_engine.flows_of(folder)
    with_eyes = Engine(database_url, executor_id="c", lock_folder=folder / "locks", queues=(), flows=flows)
    with_eyes.launch()
    try:
        assert with_eyes.adopt() == ()  # a is alive
        kill(process)
        (folder / "hold").unlink()
        assert with_eyes.adopt(["b"]) == ()  # not asked about a
        assert with_eyes.adopt() == ("a",)
        status = client.wait("three", "k", PATIENCE_SECONDS)
    finally:
        with_eyes.close()
    assert (status.state, status.executor_id, status.attempts) == (FlowState.FINISHED, "b", 2)
    assert steps(folder) == ["one", "two", "two", "three"]
    assert other.poll() is None
