"""The short-lived process that queues a dead executor's work again: ``python -m orchestrator.jobs.adoption``."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from orchestrator.jobs.engine import Engine
from orchestrator.jobs.supervision import ExecutorInUse

_SECONDS = 45.0


def adopt(database_url: str, lock_folder: str, executor_id: str) -> None:
    """Launch under the executor's id, with no queue, until nothing is marked as running there.

    Raises TimeoutError.
    """
    engine = Engine(database_url, executor_id=executor_id, lock_folder=Path(lock_folder), queues=())
    try:
        engine.launch()
    except ExecutorInUse:
        return  # it came back by itself
    try:
        deadline = time.monotonic() + _SECONDS
        while any(flow.executor_id == executor_id for flow in engine.running()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"flows of {executor_id} are still marked as running after {_SECONDS:g} s")
            time.sleep(0.05)
    finally:
        engine.close(forgive=False)


if __name__ == "__main__":
    adopt(**json.load(sys.stdin))
