"""Receiving, keeping, asking and sending: everything between this host and the archives."""

from orchestrator.archive.arrival import Arrival, Closed
from orchestrator.archive.connect import SCHEMES, connect
from orchestrator.archive.doorbell import Listener, Ringer
from orchestrator.archive.folder import FolderArchive
from orchestrator.archive.receiver import Receiver
from orchestrator.archive.spool import Spool, SpooledFile

__all__ = [
    "SCHEMES",
    "Arrival",
    "Closed",
    "FolderArchive",
    "Listener",
    "Receiver",
    "Ringer",
    "Spool",
    "SpooledFile",
    "connect",
]
