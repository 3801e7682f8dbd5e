"""Everything between this host and the archives: the receiver, the spool, and the clients of each protocol."""

from orchestrator.archive.commitment.pending_reports import PendingReports
from orchestrator.archive.commitment.transactions import Commitments
from orchestrator.archive.connect import SCHEMES, connect, dicomweb_peer
from orchestrator.archive.folder import FolderArchive
from orchestrator.archive.http.multipart import BrokenMultipart, boundary_in
from orchestrator.archive.protocol.negotiation import storage_classes
from orchestrator.archive.receiver.admission import Entity, KnownSender
from orchestrator.archive.receiver.credentials import Credentials
from orchestrator.archive.receiver.server import Receiver
from orchestrator.archive.receiver.stow import Stow, StowResult
from orchestrator.archive.spool.arrival import RECEIVER, Announced, Arrival, Closed, Notification
from orchestrator.archive.spool.deferred_events import DeferredEvent, DeferredEvents
from orchestrator.archive.spool.inbox import SpoolInbox
from orchestrator.archive.spool.notify import Listener, Notifier
from orchestrator.archive.spool.spool import Spool, SpooledFile

__all__ = [
    "RECEIVER",
    "SCHEMES",
    "Announced",
    "Arrival",
    "BrokenMultipart",
    "Closed",
    "Commitments",
    "Credentials",
    "DeferredEvent",
    "DeferredEvents",
    "Entity",
    "FolderArchive",
    "KnownSender",
    "Listener",
    "Notification",
    "Notifier",
    "PendingReports",
    "Receiver",
    "Spool",
    "SpoolInbox",
    "SpooledFile",
    "Stow",
    "StowResult",
    "boundary_in",
    "connect",
    "dicomweb_peer",
    "storage_classes",
]
