"""Folders and sockets that the processes of one installation share."""

from __future__ import annotations

from pathlib import Path

from orchestrator.archive import DeferredEvents, PendingReports, Spool
from orchestrator.config import Settings


def spool_of(settings: Settings) -> Spool:
    """Return the spool: the folder of received files."""
    return Spool(settings.data.folder / "spool", minimum_free_mb=settings.receiver.minimum_free_mb)


def pending_reports_of(settings: Settings) -> PendingReports:
    """Return the folder of pending storage commitment reports."""
    return PendingReports(settings.data.folder / "owed", deferred_events_of(settings))


def deferred_events_of(settings: Settings) -> DeferredEvents:
    """Return the folder of events that the receiver, which has no ledger, leaves for the engine to record."""
    return DeferredEvents(settings.data.folder / "deferred-events")


def notification_socket_of(settings: Settings) -> Path:
    """Return the socket on which the engine receives notifications."""
    return settings.data.folder / "notifications"


def role_states_of(settings: Settings) -> Path:
    """Return the file in which the supervisor states how its roles stand."""
    return settings.data.folder / "roles.json"


def lock_folder_of(settings: Settings) -> Path:
    """Return the folder of locks by which processes on one machine detect which of them run."""
    return settings.data.folder / "locks"
