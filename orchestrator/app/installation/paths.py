"""Where the processes of one installation meet: the spool, the socket for notifications, and the locks."""

from __future__ import annotations

from pathlib import Path

from orchestrator.archive import DeferredEvents, PendingReports, Spool
from orchestrator.config import Settings


def spool_of(settings: Settings) -> Spool:
    """Return the folder of received files, the truth about what arrived."""
    return Spool(settings.data.folder / "spool", minimum_free_mb=settings.receiver.minimum_free_mb)


def pending_reports_of(settings: Settings) -> PendingReports:
    """Return the folder of pending storage commitment reports."""
    return PendingReports(settings.data.folder / "owed", deferred_events_of(settings))


def deferred_events_of(settings: Settings) -> DeferredEvents:
    """Return the folder where the receiver, which has no ledger, leaves events for the engine to record."""
    return DeferredEvents(settings.data.folder / "deferred-events")


def notification_socket_of(settings: Settings) -> Path:
    """Return the socket at which the engine listens for notifications."""
    return settings.data.folder / "notifications"


def lock_folder_of(settings: Settings) -> Path:
    """Return where processes of one machine see which of them are alive."""
    return settings.data.folder / "locks"
