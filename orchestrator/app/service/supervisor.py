"""``orchestrator serve``: a supervisor and one process for each role.

The processes are separate because Python runs one thread at a time, and the receiver must answer while the
engine writes. The supervisor restarts a role that ends. Each role may be killed at any moment.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.app.service.readiness import STEADY_SECONDS, RoleState, write_states
from orchestrator.app.service.role import Role
from orchestrator.app.service.shutdown import Stop
from orchestrator.app.service.startup import check_startable, data_folder_faults
from orchestrator.backoff import Backoff
from orchestrator.config import Settings

log = logging.getLogger(__name__)

POLL_SECONDS = 0.2
RESTARTS = Backoff(1.0, 30.0)
USER_FAULT = 2
END_SECONDS = 20.0
OF_THE_DATABASE = frozenset({Role.ENGINE, Role.WATCHER, Role.WEB})
"""Roles that cannot start while the database is away; the receiver can."""


def run_role(role: Role, settings: Settings) -> None:
    """Run one role until the process is told to stop. Imports only what the role needs.

    Raises OrchestratorError where the database or the data folder is lost; the supervisor then restarts the role.
    """
    with data_folder_faults(settings.data.folder):
        if role is Role.RECEIVER:
            from orchestrator.app.service.receiver import receive

            receive(settings)
        else:
            _run_with_database(role, settings)


def _run_with_database(role: Role, settings: Settings) -> None:
    from orchestrator.database import database_faults

    with database_faults():
        if role is Role.ENGINE:
            from orchestrator.app.service.engine.loop import work

            work(settings)
        elif role is Role.WATCHER:
            from orchestrator.app.service.watcher import watch

            watch(settings)
        else:
            from orchestrator.app.service.web import show

            show(settings)


def supervise(settings: Settings, settings_file: Path | None, roles: Sequence[Role]) -> int:
    """Run each role in its own process and restart a role that ends, until told to stop.

    Returns the exit status: 2 if a role ended because of a setting or input, which a restart does not correct.
    Raises SettingsError before any role starts where the data folder or a port cannot be used.
    """
    check_startable(settings, roles)
    stop, database = Stop(), _DatabaseWatch(settings.data.database)
    processes = [_RoleProcess(role, settings_file) for role in roles]
    written: Mapping[Role, RoleState] = {}
    status = 0
    while not status:
        for item in processes:
            status = status or item.advance(database)
        states = {item.role: item.state for item in processes}
        if states != written:
            with suppress(OSError):  # a full disk: the page then names the receiver
                write_states(settings, states)
            written = states
        if stop.wait(POLL_SECONDS):
            break
    _end([item.process for item in processes if item.process is not None])
    return status


@dataclass(slots=True)
class _DatabaseWatch:
    """Asks whether a PostgreSQL answers, and says so once when it goes away and once when it is back."""

    url: str
    reason: str = ""

    def fault(self) -> str:
        """Return why the database cannot be used, empty where it can; a file is not asked."""
        if self.url.startswith("sqlite"):
            return ""
        from orchestrator.database import connection_fault

        reason = connection_fault(self.url)
        if reason and not self.reason:
            log.warning("%s; the service waits for it", reason)
        elif self.reason and not reason:
            log.info("the database answers")
        self.reason = reason
        return reason


@dataclass(slots=True)
class _RoleProcess:
    """The process of a role, and when it may be restarted: after longer and longer times if it keeps ending."""

    role: Role
    settings_file: Path | None
    process: subprocess.Popen[bytes] | None = None
    attempts: int = 0
    attempted_at: float = field(default_factory=time.monotonic)
    state: RoleState = field(default_factory=lambda: RoleState(0, time.time()))

    def advance(self, database: _DatabaseWatch) -> int:
        """Start the process if it is down and due; return the exit status with which the service must end, else 0."""
        exit_status = None if self.process is None else self.process.poll()
        if self.process is not None and exit_status is None:
            return 0
        if exit_status == USER_FAULT:
            return USER_FAULT
        if not self._is_due():
            return 0
        self.attempted_at = time.monotonic()
        if self.role in OF_THE_DATABASE and (reason := database.fault()):
            self.attempts += 1
            self.state = RoleState(0, self.state.since, reason)
            return 0
        if self.process is not None:
            log.error("%s ended unexpectedly (status %s); restarting", self.role, exit_status)
        self.attempts = 1 if self.state.waits_for else self.attempts + 1
        self.state = RoleState(self.attempts - 1, time.time())
        self.process = _start(self.role, self.settings_file)
        return 0

    def _is_due(self) -> bool:
        """Return whether the wait since the last attempt is over; one that stayed up begins anew."""
        since = time.monotonic() - self.attempted_at
        if self.process is not None and since > STEADY_SECONDS:
            self.attempts = 0
        return self.attempts == 0 or since >= RESTARTS.seconds(self.attempts)


def _start(role: Role, settings_file: Path | None) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "orchestrator", "serve", "--role", role.value, "--supervisor", str(os.getpid())]
    if settings_file is not None:
        command += ["--settings", str(settings_file)]
    return subprocess.Popen(command)


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + END_SECONDS
    for process in processes:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
