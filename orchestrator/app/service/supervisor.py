"""``orchestrator serve``: a small supervisor and one process for each role.

They are separate because Python runs one thread at a time: a receiver must answer while the engine
writes. The supervisor starts again what ends; each role may be killed at any moment.
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

LOOK_SECONDS = 0.2
RESTARTS = Backoff(1.0, 30.0)
STEADY_SECONDS = 60.0
USER_FAULT = 2
END_SECONDS = 20.0


class Role(StrEnum):
    """What one process of the service does."""

    RECEIVER = "receiver"
    ENGINE = "engine"
    WATCHER = "watcher"
    WEB = "web"


def play(role: Role, settings: Settings) -> None:
    """Be one role until told to end; only what it needs is loaded.

    Raises DatabaseUnavailable; the supervisor starts the role again.
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
    """Run each role in a process of its own and start it again when it ends, until told to end.

    Returns the exit status: 2 where a role found a fault of the user's, which no restart mends.
    """
    stop = Stop()
    watched = {role: _Watched(_start(role, settings_file)) for role in roles}
    status = 0
    while not status and not stop.wait(LOOK_SECONDS):
        for role, one in watched.items():
            ended = one.process.poll()
            if ended == USER_FAULT:
                status = USER_FAULT
            elif ended is not None and one.may_start():
                log.error("%s ended with status %s and is started again", role, ended)
                one.process = _start(role, settings_file)
    _end([one.process for one in watched.values()])
    return status


@dataclass(slots=True)
class _Watched:
    """A role's process, and when it may be started again: later and later where it does not stay up."""

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
