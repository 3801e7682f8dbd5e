"""A process with an engine of three flows, to be killed: ``python -m tests.parts.small_engine URL FOLDER EXECUTOR``.

Every step writes a line to FOLDER/log. Step two of ``three`` does not end while FOLDER/hold exists; ``killer``
kills its own process while FOLDER/kill exists. SIGTERM closes the engine and ends the process at once.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

from orchestrator.engine import Engine, Flow, Queue, step

QUEUE = "models"


def main(database_url: str, folder: Path, executor_id: str) -> None:
    """Run until SIGTERM."""
    queues = [Queue(QUEUE, 4)]
    engine = Engine(
        database_url,
        executor_id=executor_id,
        lock_folder=folder / "locks",
        queues=queues,
        flows=flows_of(folder),
        poll_seconds=0.05,
    )
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    engine.launch()
    (folder / f"{executor_id}.ready").touch()
    ending.wait()
    engine.close(drain_seconds=0)
    os._exit(0)  # a step that is held would keep the process


def flows_of(folder: Path) -> dict[str, Flow]:
    """Return the flows, which write into the folder."""

    def note(line: str) -> str:
        with (folder / "log").open("a") as log:
            log.write(f"{line} {os.getpid()}\n")
        return line

    def two(line: str) -> str:
        note(line)
        while (folder / "hold").exists():
            time.sleep(0.02)
        return line

    def die(line: str) -> str:
        note(line)
        if (folder / "kill").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return line

    def three(key: str) -> None:
        step("one", note, f"one {key}")
        step("two", two, f"two {key}")
        step("three", note, f"three {key}")

    def killer(key: str) -> None:
        step("one", note, f"one {key}")
        step("die", die, f"die {key}")

    return {"three": three, "killer": killer}


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
