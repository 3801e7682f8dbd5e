"""Events that the receiver leaves are recorded once, by the process that has the ledger."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from orchestrator.app.service.engine.deferred_events import record_deferred
from orchestrator.archive import DeferredEvent, DeferredEvents
from orchestrator.ledger import Ledger

EVENT = DeferredEvent("commitment-unreported", "1.2.3", "CT1 was not told")


def test_an_event_that_was_recorded_right_before_a_kill_is_recorded_once(tmp_path: Path) -> None:
    events = DeferredEvents(tmp_path / "events")
    with closing(Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")) as ledger:
        for _ in range(2):
            events.put("one", EVENT)
            record_deferred(ledger, events)
        found = [(event.kind, event.subject, event.text, event.by) for event in ledger.events.after(subject="1.2.3")]
    assert found == [("commitment-unreported", "1.2.3", "CT1 was not told", "host")]
