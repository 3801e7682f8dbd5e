"""The whole service as a part of a test: real processes with settings of their own, killable at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from orchestrator.domain.job import ENDED, JobState
from orchestrator.domain.records import JobRecord
from orchestrator.ledger import Ledger
from tests.parts.archive.dcmtk import free_port

T = TypeVar("T")
PATIENCE_SECONDS = 150.0  # until a test gives up waiting, on a busy machine too; no test claims anything of the time
SETTINGS = """
[receiver]
port = {port}
quiet_seconds = {quiet_seconds}
minimum_free_mb = 0
{receiver}

[data]
folder = "{data}"
{kept}

[engine]
executor_id = "test"

[web]
enabled = {web}
port = {web_port}

{rest}
"""


@dataclass(slots=True)
class Service:
    """A service and its folder. ``models``: extra folders of plugins can be named in ``rest``.

    receiver, kept: further lines of ``[receiver]`` and ``[data]``.
    """

    folder: Path
    quiet_seconds: float = 1.0
    rest: str = ""
    receiver: str = ""
    kept: str = ""
    web: bool = False
    port: int = field(default_factory=free_port)
    web_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def settings(self) -> Path:
        return self.folder / "orchestrator.toml"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def start(self, *roles: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.settings.write_text(
            SETTINGS.format(
                port=self.port,
                quiet_seconds=self.quiet_seconds,
                data=self.data,
                web=str(self.web).lower(),
                web_port=self.web_port,
                rest=self.rest,
                receiver=self.receiver,
                kept=self.kept,
            )
        )
        command = [sys.executable, "-m", "orchestrator", "serve", "--settings", str(self.settings)]
        command += [part for role in roles for part in ("--role", role)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def ready(self) -> None:
        """Wait until images are taken and the engine says that it is ready."""
        from tests.parts.archive.dcmtk import echoscu

        wait_for(lambda: echoscu(self.port).returncode == 0, "the receiver answers")
        wait_for(lambda: "the engine is ready" in self.log, "the engine is ready")

    def pids(self, role: str) -> list[int]:
        """Return the processes that play this role now."""
        return [pid for pid, line in _processes(self.settings) if f"--role {role}" in line]

    def kill(self, role: str) -> None:
        """Kill -9 the processes of one role."""
        for pid in self.pids(role):
            os.kill(pid, signal.SIGKILL)

    def kill_models(self) -> None:
        """Kill -9 the processes of models, which the engine started."""
        engines = set(self.pids("engine"))
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit() and _parent(folder) in engines:
                os.kill(int(folder.name), signal.SIGKILL)

    def kill_all(self) -> None:
        """Kill -9 everything at once: supervisor, roles and models."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None
        wait_for(lambda: not _processes(self.settings), "all processes are gone")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill_all()
            self.process = None

    def ledger(self) -> Ledger:
        return Ledger.open(f"sqlite:///{self.data / 'orchestrator.db'}")

    def jobs(self) -> tuple[JobRecord, ...]:
        ledger = self.ledger()
        try:
            return ledger.jobs.search()
        finally:
            ledger.close()

    def job_ends(self, state: JobState = JobState.DONE, *, count: int = 1) -> tuple[JobRecord, ...]:
        """Return the jobs in ``state`` once there are ``count``; a job that ends otherwise fails the test."""

        def ended() -> tuple[JobRecord, ...] | None:
            found = self.jobs()
            other = [job for job in found if job.state in ENDED - {state, JobState.SUPERSEDED}]
            assert not other, f"{other[0].state}: {other[0].reason}\n{self.log}"
            there = tuple(job for job in found if job.state is state)
            return there if len(there) >= count else None

        return wait_for(ended, f"{count} job(s) {state}")


@contextmanager
def service(folder: Path, **settings: object) -> Iterator[Service]:
    """Give a service that is not started yet, and end all of its processes at the end."""
    made = Service(folder, **settings)  # type: ignore[arg-type]
    try:
        yield made
    finally:
        made.stop()
        for pid, _ in _processes(made.settings):
            os.kill(pid, signal.SIGKILL)


def destination(url: str, name: str = "pacs", **more: object) -> str:
    """Return the settings of one destination."""
    lines = [f'name = "{name}"', f'url = "{url}"', *(f"{key} = {_toml(value)}" for key, value in more.items())]
    return "\n".join(["[[destination]]", *lines, ""])


def wait_for(look: Callable[[], T | None], what: str, seconds: float = PATIENCE_SECONDS) -> T:
    """Return what ``look`` returns once that is true; AssertionError after a while."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"in {seconds:g} s not so: {what}")


def run_command(
    *arguments: str | Path, environment: Mapping[str, str] | None = None, timeout_seconds: float = 170
) -> subprocess.CompletedProcess[str]:
    """Return what the command line ``orchestrator`` did."""
    command: Sequence[str] = [sys.executable, "-m", "orchestrator", *map(str, arguments)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
        check=False,
        env={**os.environ, **(environment or {})},
    )


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value).replace("'", '"')


def _processes(settings: Path) -> list[tuple[int, str]]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(settings) in line and "orchestrator" in line:
                found.append((int(folder.name), line))
    return found


def _parent(folder: Path) -> int:
    try:
        return int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
