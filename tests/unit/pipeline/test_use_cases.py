"""Each use case is one function: no other module writes its outcome into the ledger."""

from __future__ import annotations

from pathlib import Path

import pytest

import orchestrator

PACKAGE = Path(orchestrator.__file__).parent
CALLS = {
    "reviews.add(": {"pipeline/review.py"},
    "withdrawals.order(": {"app/operations/retract.py"},
    "backfills.add(": {"app/operations/backfill.py"},
    "backfills.move(": {"app/operations/backfill.py", "pipeline/backfilling.py"},
    "tried again by": {"pipeline/job_control.py"},
    "cancelled by": {"pipeline/job_control.py"},
    '"MachineWritten": ("yes",)': {"pipeline/facts.py"},
}


@pytest.mark.parametrize("call", CALLS)
def test_only_the_door_of_a_use_case_writes_its_outcome(call: str) -> None:
    callers = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if call in path.read_text("utf-8") and "ledger" not in path.relative_to(PACKAGE).parts[:1]
    }
    assert callers <= CALLS[call]
