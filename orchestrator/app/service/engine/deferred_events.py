"""Records the events that other processes of this installation, which have no ledger, left for it."""

from __future__ import annotations

from functools import partial

from orchestrator.archive import UntoldEvent, UntoldEvents
from orchestrator.ledger import Ledger

LOOK_SECONDS = 5.0


def record_untold(ledger: Ledger, untold: UntoldEvents) -> None:
    """Return when all that was left is in the audit trail."""
    untold.take(partial(_record, ledger))


def _record(ledger: Ledger, event: UntoldEvent) -> None:
    """Add the event; one that a killed process had recorded and not removed yet is there already."""
    newest = ledger.events.newest(subjects=[event.subject], kind=event.kind)
    if all(each.text != event.text for each in newest):
        ledger.events.record(event.kind, event.subject, event.text)
