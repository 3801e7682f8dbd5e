"""Receiving, keeping, asking and sending: everything between this host and the archives."""

from orchestrator.archive.admission import Entity, Known
from orchestrator.archive.arrival import Announced, Arrival, Closed, Note
from orchestrator.archive.certificate import ShownCertificate, own_certificate_end, shown_certificate
from orchestrator.archive.commitment import Commitments
from orchestrator.archive.connect import SCHEMES, connect, dicomweb_peer
from orchestrator.archive.dimse.tls import Tls
from orchestrator.archive.doorbell import Listener, Ringer
from orchestrator.archive.folder import FolderArchive
from orchestrator.archive.inbox import SpoolInbox
from orchestrator.archive.multipart import BrokenMultipart, boundary_in
from orchestrator.archive.negotiation import storage_classes
from orchestrator.archive.owed import Owed
from orchestrator.archive.receiver import Receiver
from orchestrator.archive.spool import Spool, SpooledFile
from orchestrator.archive.stow import Stow, Verdict
from orchestrator.archive.tls import Credentials
from orchestrator.archive.untold import UntoldEvent, UntoldEvents

__all__ = [
    "SCHEMES",
    "Announced",
    "Arrival",
    "BrokenMultipart",
    "Closed",
    "Commitments",
    "Credentials",
    "Entity",
    "FolderArchive",
    "Known",
    "Listener",
    "Note",
    "Owed",
    "Receiver",
    "Ringer",
    "ShownCertificate",
    "Spool",
    "SpoolInbox",
    "SpooledFile",
    "Stow",
    "Tls",
    "UntoldEvent",
    "UntoldEvents",
    "Verdict",
    "boundary_in",
    "connect",
    "dicomweb_peer",
    "own_certificate_end",
    "shown_certificate",
    "storage_classes",
]
