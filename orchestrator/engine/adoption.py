"""The short-lived process that queues a dead executor's work again: ``python -m orchestrator.engine.adoption``."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from orchestrator.engine.liveness import ExecutorInUse
from orchestrator.engine.runtime import Engine

_SECONDS = 45.0


def adopt(database_url: str, lock_folder: str, executor_id: str) -> None:
    """Launch under the executor's id, with no queue, until nothing is marked as running there.

    Raises TimeoutError.
    """
    engine = Engine(database_url, executor_id=executor_id, lock_folder=Path(lock_folder), queues=())
    try:
        engine.launch()
    except ExecutorInUse:
        return  # it is alive again
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
