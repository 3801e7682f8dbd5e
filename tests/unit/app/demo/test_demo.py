"""The page of ``orchestrator demo``."""

from __future__ import annotations

from orchestrator.app.batch.outcome import Outcome
from orchestrator.app.batch.run import RunReport
from orchestrator.app.demo.demo import Card, render


def test_a_measurement_is_shown_in_the_unit_that_people_read() -> None:
    measurement = {"name": "Mean", "value": 118.2, "unit": "[hnsf'U]"}
    outcome = Outcome("1.2", "1.3", "CT", "bone", "1", "rule", "done", measurements=(measurement,))
    page = render(RunReport((outcome,), (), 1.0), (Card(outcome, "", (), ()),))
    assert "<dd>Mean 118.2 HU</dd>" in page
