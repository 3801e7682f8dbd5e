"""Delivery without an engine: the real flow on a real ledger, run in the queue's order by a clock that a test moves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from orchestrator.domain.job import Priority
from orchestrator.jobs import Ledger
from orchestrator.pipeline.delivery import Delivery
from orchestrator.pipeline.parts import Destination, Folders, Parts
from tests.data.records import NOON

SECOND = timedelta(seconds=1)


@dataclass
class Post:
    """Stands where the engine does: flows by their queue, first by priority, then as they came; each key once."""

    ledger: Ledger
    outbox: Path
    destinations: Callable[[], dict[str, Destination]]
    now: datetime = NOON
    queued: dict[str, tuple[int, tuple[Any, ...]]] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)

    @property
    def delivery(self) -> Delivery:
        """The flow as after a restart: it remembers nothing."""
        observers = SimpleNamespace(result_delivered=lambda *_: None)
        folders, destinations = Folders(self.outbox, self.outbox), self.destinations()
        return Delivery(
            Parts(self.ledger, None, None, destinations, folders, observers, clock=lambda: self.now)  # type: ignore[arg-type]
        )

    def run(self, lasting: timedelta = timedelta(), every: timedelta = SECOND) -> None:
        """Queue what is due and run it, one attempt at a time, while the time passes."""
        until = self.now + lasting
        while True:
            self.delivery.queue_due(self)  # type: ignore[arg-type]
            if self._run_first():
                continue
            if self.now >= until:
                return
            self.now += every

    def enqueue(self, flow: str, key: str, *args: object, queue: str, priority: Priority) -> bool:
        """Return True where the flow was queued, False where it was before: once for ever."""
        if key in self.seen:
            return False
        self.seen.add(key)
        self.queued[key] = (priority.rank, args)
        return True

    def _run_first(self) -> bool:
        if not self.queued:
            return False
        key = min(self.queued, key=lambda each: self.queued[each][0])
        _, args = self.queued.pop(key)
        self.delivery(*args)
        return True
