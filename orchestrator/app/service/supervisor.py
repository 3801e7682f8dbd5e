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
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from orchestrator.app.service.shutdown import Stop
from orchestrator.backoff import Backoff
from orchestrator.config import Settings

log = logging.getLogger(__name__)

POLL_SECONDS = 0.2
RESTARTS = Backoff(1.0, 30.0)
STEADY_SECONDS = 60.0
USER_FAULT = 2
END_SECONDS = 20.0


class Role(StrEnum):
    """A part of the service that runs in its own process."""

    RECEIVER = "receiver"
    ENGINE = "engine"
    WATCHER = "watcher"
    WEB = "web"


def run_role(role: Role, settings: Settings) -> None:
    """Run one role until the process is told to stop. Imports only what the role needs.

    Raises DatabaseUnavailable; the supervisor then restarts the role.
    """
    if role is Role.RECEIVER:
        from orchestrator.app.service.receiver import receive

        receive(settings)
        return
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


def supervise(settings_file: Path | None, roles: Sequence[Role]) -> int:
    """Run each role in its own process and restart a role that ends, until told to stop.

    Returns the exit status: 2 if a role ended because of a setting or input, which a restart does not correct.
    """
    stop = Stop()
    processes = {role: _RoleProcess(_start(role, settings_file)) for role in roles}
    status = 0
    while not status and not stop.wait(POLL_SECONDS):
        for role, item in processes.items():
            exit_status = item.process.poll()
            if exit_status == USER_FAULT:
                status = USER_FAULT
            elif exit_status is not None and item.may_start():
                log.error("%s ended unexpectedly (status %s); restarting", role, exit_status)
                item.process = _start(role, settings_file)
    _end([item.process for item in processes.values()])
    return status


@dataclass(slots=True)
class _RoleProcess:
    """The process of a role, and when it may be restarted: after longer and longer times if it keeps ending."""

    process: subprocess.Popen[bytes]
    started_at: float = field(default_factory=time.monotonic)
    ends: int = 1

    def may_start(self) -> bool:
        now = time.monotonic()
        if now < self.started_at + RESTARTS.seconds(self.ends):
            return False
        stayed_up = now - self.started_at > STEADY_SECONDS
        self.ends = 1 if stayed_up else self.ends + 1
        self.started_at = now
        return True


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
