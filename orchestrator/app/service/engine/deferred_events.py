"""Records the events of processes that have no ledger, such as the receiver."""

from __future__ import annotations

from functools import partial

from orchestrator.archive import DeferredEvent, DeferredEvents
from orchestrator.ledger import Ledger

RECORD_SECONDS = 5.0


def record_deferred(ledger: Ledger, events: DeferredEvents) -> None:
    """Record all deferred events."""
    events.take(partial(_record, ledger))


def _record(ledger: Ledger, event: DeferredEvent) -> None:
    """Record the event, unless a killed process recorded it and did not remove its file."""
    newest = ledger.events.newest(subjects=[event.subject], kind=event.kind)
    if all(each.text != event.text for each in newest):
        ledger.events.record(event.kind, event.subject, event.text)
