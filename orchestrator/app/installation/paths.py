"""Where the processes of one installation meet: the spool, the doorbell, and the locks."""

from __future__ import annotations

from pathlib import Path

from orchestrator.archive import Owed, Spool, UntoldEvents
from orchestrator.config import Settings


def spool_of(settings: Settings) -> Spool:
    """Return the folder of received files, the truth about what arrived."""
    return Spool(settings.data.folder / "spool", minimum_free_mb=settings.receiver.minimum_free_mb)


def owed_of(settings: Settings) -> Owed:
    """Return the folder of reports of storage commitment that are owed."""
    return Owed(settings.data.folder / "owed", untold_of(settings))


def untold_of(settings: Settings) -> UntoldEvents:
    """Return where the receiver, which has no ledger, puts events for the engine to record."""
    return UntoldEvents(settings.data.folder / "untold")


def doorbell_of(settings: Settings) -> Path:
    """Return where the receiver rings and the engine listens."""
    return settings.data.folder / "doorbell"


def lock_folder_of(settings: Settings) -> Path:
    """Return where processes of one machine see which of them are alive."""
    return settings.data.folder / "locks"
