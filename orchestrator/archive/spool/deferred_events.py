"""Deferred events: a process without a ledger writes them to files, and the engine records them."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from orchestrator.durable import DurableFolders, write_durably

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeferredEvent:
    """An event for the ledger. subject: a UID. text: without patient data."""

    kind: str
    subject: str
    text: str


class DeferredEvents:
    """A folder with one file for each event; one process writes the files, another records the events."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._folders = DurableFolders(folder.parent)

    def put(self, name: str, event: DeferredEvent) -> None:
        """Return when the event is durable; it replaces an unrecorded event of the same name.

        name: the file's, without suffix. Raises OSError.
        """
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        self._folders.make(self._folder)
        content = json.dumps(asdict(event)).encode()
        write_durably(self._folder / f"{name}.json", content)

    def take(self, record: Callable[[DeferredEvent], object]) -> None:
        """Call ``record`` with each event, then remove its file; a kill between the two repeats the event.

        Raises what ``record`` raises, OSError.
        """
        for path in sorted(self._folder.glob("*.json")):
            if (event := _read(path)) is not None:
                record(event)
                path.unlink(missing_ok=True)


def _read(path: Path) -> DeferredEvent | None:
    """Return the event; None where the file holds none, and rename the file then."""
    try:
        return DeferredEvent(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        _log.error("event file %s cannot be read; renamed to .broken", path)
        path.rename(path.with_suffix(".broken"))
        return None
