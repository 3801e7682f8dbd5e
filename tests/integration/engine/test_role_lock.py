"""A role that one process has alone, on both databases."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.engine import ProcessLock, role_lock
from orchestrator.engine.liveness import executor_lock


@pytest.fixture
def locks(database_url: str, lock_folder: Path) -> tuple[ProcessLock, ProcessLock]:
    """Two locks on the same role."""
    return role_lock(database_url, lock_folder, "watcher"), role_lock(database_url, lock_folder, "watcher")


def test_one_at_a_time_has_a_role(locks: tuple[ProcessLock, ProcessLock]) -> None:
    first, second = locks
    assert [first.acquire(), second.acquire()] == [True, False]
    first.release()
    assert second.acquire()
    second.release()


def test_who_has_a_role_keeps_it(locks: tuple[ProcessLock, ProcessLock]) -> None:
    first, second = locks
    assert first.acquire()
    assert not second.acquire()
    assert first.keep()
    first.release()


def test_a_role_is_no_executor_of_that_name(database_url: str, lock_folder: Path) -> None:
    role, executor = (lock(database_url, lock_folder, "watcher") for lock in (role_lock, executor_lock))
    assert [role.acquire(), executor.acquire()] == [True, True]
    role.release()
    executor.release()
