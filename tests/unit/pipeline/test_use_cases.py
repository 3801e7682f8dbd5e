"""Each use case is one function: no other module writes its outcome into the ledger."""

from __future__ import annotations

from pathlib import Path

import pytest

import orchestrator

PACKAGE = Path(orchestrator.__file__).parent
CALLS = {
    "reviews.add(": {"pipeline/review/verdict.py"},
    "withdrawals.order(": {"app/operations/retract.py"},
    "backfills.add(": {"app/operations/backfill.py"},
    "backfills.move(": {"app/operations/backfill.py", "pipeline/fetching/backfill.py"},
    "tried again by": {"pipeline/jobs/control.py"},
    "cancelled by": {"pipeline/jobs/control.py"},
    '"MachineWritten": ("yes",)': {"pipeline/arrival/facts.py"},
}


@pytest.mark.parametrize("call", CALLS)
def test_only_the_door_of_a_use_case_writes_its_outcome(call: str) -> None:
    callers = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if call in path.read_text("utf-8") and "ledger" not in path.relative_to(PACKAGE).parts[:1]
    }
    assert callers <= CALLS[call]
