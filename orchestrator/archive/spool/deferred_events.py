"""Events of a process that has no ledger, durable until one that has it records them."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from orchestrator.durable import DurableFolders, write_durably

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class UntoldEvent:
    """What the ledger will keep of it; subject is a UID, text holds no patient data."""

    kind: str
    subject: str
    text: str


class UntoldEvents:
    """A folder with a file for each event; one process writes it, another one records."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._folders = DurableFolders(folder.parent)

    def put(self, name: str, event: UntoldEvent) -> None:
        """Return when the event is durable; one of the same name that is not recorded yet gives way.

        name: of a file, without its end. Raises OSError.
        """
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        self._folders.make(self._folder)
        content = json.dumps(asdict(event)).encode()
        write_durably(self._folder / f"{name}.json", content)

    def take(self, record: Callable[[UntoldEvent], object]) -> None:
        """Have each event recorded, then removed; after a kill in between it comes once more.

        Raises what ``record`` raises, OSError.
        """
        for path in sorted(self._folder.glob("*.json")):
            if (event := _read(path)) is not None:
                record(event)
                path.unlink(missing_ok=True)


def _read(path: Path) -> UntoldEvent | None:
    """Return the event, None where the file holds none; it is set aside then."""
    try:
        return UntoldEvent(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        _log.error("the event in %s cannot be read; it is set aside", path)
        path.rename(path.with_suffix(".broken"))
        return None
