"""Locks of live processes: on an executor id, and on a role that one process has alone.

The work of a dead executor is queued again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import IO, Any, Protocol

import sqlalchemy as sa

from orchestrator.database import parse_url, sqlite_file
from orchestrator.domain.errors import OrchestratorError, SettingsError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ADOPTION_SECONDS = 60.0


class ExecutorInUse(SettingsError):
    """The executor id belongs to a process that is alive."""


class ProcessLock(Protocol):
    """A lock that ends with its process, also when that is killed."""

    def acquire(self) -> bool:
        """Acquire the lock; return False where another process holds it."""

    def keep(self) -> bool:
        """Return whether the lock is still held; a lost lock is acquired again where it is free."""

    def release(self) -> None:
        """Release the lock."""


class FileLock:
    """The lock among the processes of one machine: flock on a file that is never removed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[Any] | None = None

    def acquire(self) -> bool:
        """Acquire the lock; return False where another process holds it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._file = file
        return True

    def keep(self) -> bool:
        """Return whether the lock is held; a live process never loses it."""
        return self._file is not None

    def release(self) -> None:
        """Release the lock."""
        if self._file is not None:
            self._file.close()
            self._file = None


class AdvisoryLock:
    """The lock among all machines at one PostgreSQL: it lives as long as its session there."""

    def __init__(self, url: sa.URL, name: str) -> None:
        self._engine = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
        digest = hashlib.sha256(f"orchestrator {name}".encode()).digest()
        self._number = int.from_bytes(digest[:8], "big", signed=True)
        self._session: sa.Connection | None = None

    def acquire(self) -> bool:
        """Acquire the lock; return False where another process holds it."""
        self._session = self._engine.connect()
        # the server notices within half a minute that this machine is gone; its default is two hours
        for setting in ("tcp_keepalives_idle = 15", "tcp_keepalives_interval = 5", "tcp_keepalives_count = 3"):
            self._session.exec_driver_sql(f"SET {setting}")
        if self._session.scalar(sa.select(sa.func.pg_try_advisory_lock(self._number))):
            return True
        self.release()
        return False

    def keep(self) -> bool:
        """Return whether the lock is still held: a restart of the server releases it."""
        try:
            if self._session is not None:
                self._session.scalar(sa.select(1))
                return True
        except sa.exc.DBAPIError:
            self.release()
        return self.acquire()

    def release(self) -> None:
        """Release the lock."""
        if self._session is not None:
            self._session.close()  # NullPool: ends the session, and with it the lock
            self._session = None


def executor_lock(database_url: str, lock_folder: Path, executor_id: str) -> ProcessLock:
    """Return the lock on an executor id: a file beside a SQLite database, an advisory lock on PostgreSQL.

    Raises SettingsError where the id is no plain name.
    """
    if not _NAME.fullmatch(executor_id):
        raise SettingsError(f"executor id {executor_id!r}: expected letters, digits, dot, dash and underscore")
    return _lock(database_url, lock_folder / f"{executor_id}.lock", f"executor {executor_id}")


def role_lock(database_url: str, lock_folder: Path, role: str) -> ProcessLock:
    """Return the lock on a role that only one process at a database may have."""
    return _lock(database_url, lock_folder / f"role-of-{role}.only", f"role {role}")


def _lock(database_url: str, file: Path, name: str) -> ProcessLock:
    url = parse_url(database_url)
    return FileLock(file) if sqlite_file(url) else AdvisoryLock(url, name)


def is_dead(lock: ProcessLock) -> bool:
    """Return whether no process holds the lock."""
    if not lock.acquire():
        return False
    lock.release()
    return True


def requeue_left_by(database_url: str, lock_folder: Path, executor_id: str) -> None:
    """Queue the work of a dead executor again; priority, queue and attempts stay.

    DBOS requeues only the work of its own executor id. So a short-lived process takes that id and the lock on it, and
    runs nothing. If the executor is alive again by then, it changes nothing.
    Raises OrchestratorError where that process failed.
    """
    arguments = {"database_url": database_url, "lock_folder": str(lock_folder), "executor_id": executor_id}
    process = subprocess.run(  # arguments by stdin, since a URL may hold a password
        [sys.executable, "-m", "orchestrator.engine.adoption"],
        input=json.dumps(arguments),
        stderr=subprocess.PIPE,
        text=True,
        timeout=_ADOPTION_SECONDS,
        check=False,
    )
    if process.returncode:
        last = process.stderr.strip().rpartition("\n")[2]
        raise OrchestratorError(f"the work of executor {executor_id} could not be queued again: {last}")
