"""A process that sends due deliveries to a folder, to be killed: ``python -m tests.parts.small_sender URL FOLDER``.

Each store writes a line to FOLDER/log. It stops before storing while FOLDER/hold-before exists, after storing while
FOLDER/hold-after exists, and kills its own process while FOLDER/kill exists.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

from orchestrator.archive import FolderArchive
from orchestrator.engine import role_lock
from orchestrator.ledger import Ledger
from orchestrator.pipeline.delivery.attempt import Delivery
from orchestrator.pipeline.delivery.destination import Destination
from orchestrator.pipeline.delivery.dispatch import Dispatcher
from orchestrator.pipeline.folders import Folders


class HeldArchive(FolderArchive):
    """A folder that notes what it is told to store, and waits before and after."""

    def __init__(self, folder: Path) -> None:
        super().__init__("pacs", folder / "archive")
        self._marks = folder

    def store(self, paths: Sequence[Path]) -> None:
        """Store the files."""
        with (self._marks / "log").open("a") as log:
            log.write(f"store {os.getpid()}\n")
        if (self._marks / "kill").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        self._wait("hold-before")
        super().store(paths)
        self._wait("hold-after")

    def _wait(self, name: str) -> None:
        if (self._marks / name).exists():
            (self._marks / "held").touch()
        while (self._marks / name).exists():
            time.sleep(0.02)


def dispatcher_of(ledger: Ledger, url: str, folder: Path) -> Dispatcher:
    """Return what sends to the folder."""
    observers = SimpleNamespace(result_delivered=lambda *_: None)
    destinations = {"pacs": Destination("pacs", HeldArchive(folder))}
    delivery = Delivery(ledger, destinations, folders=Folders(folder, folder / "outbox"), observers=observers)  # type: ignore[arg-type]
    return Dispatcher(ledger, delivery, destinations, lambda name: role_lock(url, folder / "locks", name))


def main(url: str, folder: Path) -> None:
    """Send until SIGTERM."""
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    with closing(Ledger.open(url)) as ledger:
        dispatcher = dispatcher_of(ledger, url, folder)
        dispatcher.start()
        while not ending.wait(0.05):
            dispatcher.poll()
        dispatcher.close(drain_seconds=0.0)
    os._exit(0)  # a store that is held would keep the process


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
