from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from orchestrator.database import Database
from orchestrator.domain.errors import OrchestratorError
from orchestrator.engine.liveness import ProcessLock, executor_lock, is_dead, requeue_left_by

HOLD = """
import sys, time; from pathlib import Path; from orchestrator.engine.liveness import executor_lock
lock = executor_lock(sys.argv[1], Path(sys.argv[2]), "a")
assert lock.acquire()
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def lock(database_url: str, lock_folder: Path) -> Iterator[Callable[[str], ProcessLock]]:
    made: list[ProcessLock] = []

    def lock(executor_id: str) -> ProcessLock:
        made.append(executor_lock(database_url, lock_folder, executor_id))
        return made[-1]

    yield lock
    for each in made:
        each.release()


def test_a_lock_has_one_holder_until_it_is_released(lock: Callable[[str], ProcessLock]) -> None:
    first, second = lock("a"), lock("a")
    assert (first.acquire(), second.acquire(), lock("b").acquire()) == (True, False, True)
    assert (is_dead(lock("a")), first.keep()) == (False, True)
    first.release()
    assert (is_dead(lock("a")), second.acquire()) == (True, True)


def test_a_lock_ends_with_its_process(database_url: str, lock_folder: Path, lock: Callable[[str], ProcessLock]) -> None:
    command = [sys.executable, "-c", HOLD, database_url, str(lock_folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert not is_dead(lock("a"))
        process.kill()
    deadline = time.monotonic() + 120
    while not is_dead(lock("a")):  # PostgreSQL notices a moment later
        assert time.monotonic() < deadline


@pytest.mark.parametrize("new_database", ["postgresql"], indirect=True)
def test_a_lock_that_the_server_forgot_is_taken_again(database_url: str, lock: Callable[[str], ProcessLock]) -> None:
    mine = lock("a")
    mine.acquire()
    database = Database(database_url)
    with database.writing() as connection:
        others = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
        assert connection.execute(sa.text(others)).all() == [(True,)]
    database.close()
    assert mine.keep()
    assert not is_dead(lock("a"))


def test_an_adoption_that_fails_is_told_in_a_sentence(tmp_path: Path) -> None:
    nowhere = f"sqlite:///{tmp_path / 'file'}/x.db"
    (tmp_path / "file").touch()
    with pytest.raises(OrchestratorError, match=r"the work of executor a could not be queued again: .*Error"):
        requeue_left_by(nowhere, tmp_path, "a")
