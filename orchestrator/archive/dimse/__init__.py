"""Archives on the DICOM network, with this host as SCU: C-ECHO, C-FIND, C-GET, C-MOVE, C-STORE, storage commitment."""

from orchestrator.archive.dimse.archive import DimseArchive, DimseOptions
from orchestrator.archive.dimse.peer import Peer

__all__ = ["DimseArchive", "DimseOptions", "Peer"]
