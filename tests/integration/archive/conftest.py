"""A receiver on a free port that remembers what it told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from orchestrator.archive import Arrival, Closed, DeferredEvents, PendingReports, Receiver, Spool
from tests.parts.archive.modality import Reports


@dataclass
class Station:
    """A running receiver and what it told."""

    receiver: Receiver
    spool: Spool
    arrivals: list[Arrival] = field(default_factory=list)
    closed: list[Closed] = field(default_factory=list)

    @property
    def port(self) -> int:
        return self.receiver.port


def wait_until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    """Return when the condition holds; fail when it does not within the time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.005)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Station]]:
    """Return a function that starts a receiver with other parameters than usual."""
    running: list[Receiver] = []

    def station(*, minimum_free_mb: int = 0, **parameters: Any) -> Station:
        arrivals: list[Arrival] = []
        closed: list[Closed] = []
        spool = Spool(tmp_path / "spool", minimum_free_mb=minimum_free_mb)
        usual = {"port": 0, "on_stored": arrivals.append, "on_closed": closed.append}
        receiver = Receiver(spool, **(usual | parameters))
        receiver.start()
        running.append(receiver)
        return Station(receiver, spool, arrivals, closed)

    yield station
    for receiver in running:
        receiver.stop()


@pytest.fixture
def station(start: Callable[..., Station]) -> Station:
    """Return a receiver as the settings make it."""
    return start()


@pytest.fixture
def owed(tmp_path: Path) -> PendingReports:
    """Return a place for what is owed, with one for events beside it."""
    return PendingReports(tmp_path / "owed", DeferredEvents(tmp_path / "untold"))


def debts(folder: Path) -> list[str]:
    """Return the names of the files of what is owed in that place."""
    return sorted(path.name for path in (folder / "owed").glob("*"))


@pytest.fixture
def reports() -> Reports:
    """Return where reports of storage commitment are noted."""
    return []
