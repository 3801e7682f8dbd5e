"""Archives on the DICOM network, as a user: C-ECHO, C-FIND, C-GET, C-MOVE, C-STORE and storage commitment."""

from orchestrator.archive.dimse.archive import DimseArchive, Ways
from orchestrator.archive.dimse.peer import Peer

__all__ = ["DimseArchive", "Peer", "Ways"]
