"""The real ``orchestrator serve``, started for a measurement and read through its ledger."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from benchmarks.dcmtk import wait_for_port
from orchestrator.app.demo.orthanc_server import free_port
from orchestrator.ledger import Ledger

T = TypeVar("T")
_SETTINGS = """
[receiver]
port = {port}
quiet_seconds = {quiet_seconds}
minimum_free_mb = 0

[data]
folder = "data"

[web]
enabled = false

[[destination]]
name = "archive"
url = "{archive}"
{more}
"""


@dataclass(frozen=True, slots=True)
class Service:
    """A running service: where it listens, where it keeps things, and its ledger."""

    port: int
    data: Path
    ledger: Ledger

    def event(self, kind: str, subject: str) -> datetime | None:
        """Return when the ledger says that it happened to the subject, first; None where it did not yet."""
        return next((event.at for event in self.ledger.events.after(subject=subject) if event.kind == kind), None)

    def received(self, series_uid: str) -> float:
        """Return when the last byte of the series' last instance was written, in seconds since 1970.

        That is before it was acknowledged, so what is measured from here is never too short.
        """
        return max(path.stat().st_mtime for path in (self.data / "spool").glob(f"*/{series_uid}/*.dcm"))


@contextmanager
def serving(folder: Path, archive: str, *, quiet_seconds: float, more: str = "") -> Iterator[Service]:
    """Give a service that is ready, with its default models and rules, and end it afterwards.

    more: further lines of the destination in the settings, and what follows it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    settings = folder / "orchestrator.toml"
    settings.write_text(_SETTINGS.format(port=port, quiet_seconds=quiet_seconds, archive=archive, more=more))
    command = [sys.executable, "-m", "orchestrator", "serve", "--settings", str(settings)]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            wait_for_port(port, process)
            wait_for(lambda: "the engine is ready" in (folder / "log").read_text(), "the engine is ready")
            with closing(Ledger.open(f"sqlite:///{folder / 'data' / 'orchestrator.db'}")) as ledger:
                yield Service(port, folder / "data", ledger)
        finally:
            process.terminate()


def wait_for(look: Callable[[], T | None], what: str, seconds: float = 120.0) -> T:
    """Return what ``look`` returns once that is true; SystemExit after a while."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.2)  # seldom, so that the looking costs the service little
    raise SystemExit(f"in {seconds:g} s not so: {what}")
