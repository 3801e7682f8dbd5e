"""C-STORE as SCU: sends files unchanged, in one association."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.dsutils import split_dataset

from orchestrator.archive.dimse.peer import MAXIMUM_CONTEXTS, SUCCESS, Peer
from orchestrator.domain.errors import ArchiveRefused, ArchiveUnavailable, ObjectRefused, UnreadableFile

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Object:
    path: Path
    sop_uid: str
    sop_class: str
    transfer_syntax: str


def store(peer: Peer, paths: Sequence[Path]) -> None:
    """Send the files in one association and return when each was answered with success.

    A warning (BxxxH) counts as stored and is logged. Raises ArchiveUnavailable, ArchiveRefused, UnreadableFile.
    """
    objects = [_read_object(path) for path in paths]
    kinds = sorted({(item.sop_class, item.transfer_syntax) for item in objects})
    if not objects:
        return
    if len(kinds) > MAXIMUM_CONTEXTS:
        raise ArchiveRefused(
            f"{len(kinds)} pairs of SOP class and transfer syntax exceed the limit of {MAXIMUM_CONTEXTS}"
        )
    with peer.association([build_context(*kind) for kind in kinds], "C-STORE") as association:
        _check_contexts(peer, association, objects)
        for number, item in enumerate(objects, start=1):
            _send(peer, association, item, number)


def _check_contexts(peer: Peer, association: Association, objects: Sequence[_Object]) -> None:
    """Raise ArchiveRefused before anything is sent, where the archive does not accept all objects."""
    pairs = {(context.abstract_syntax, context.transfer_syntax[0]) for context in association.accepted_contexts}
    for item in objects:
        if (item.sop_class, item.transfer_syntax) not in pairs:
            text = f"{peer} does not accept SOP class {item.sop_class} in transfer syntax {item.transfer_syntax}"
            raise ObjectRefused(text, item.sop_class)


def _send(peer: Peer, association: Association, item: _Object, number: int) -> None:
    if not association.is_established:
        raise ArchiveUnavailable(f"{peer} ended the association before {item.sop_uid} was sent")
    status = peer.status(association.send_c_store(item.path, msg_id=(number - 1) % 0xFFFF + 1), "C-STORE")
    if status >> 12 == 0xB:
        _log.warning("%s stored %s with warning %04XH", peer, item.sop_uid, status)
    elif status >> 8 == 0xA7:
        raise ArchiveUnavailable(f"{peer} is out of resources for {item.sop_uid} ({status:04X}H)")
    elif status != SUCCESS:
        raise ObjectRefused(f"{peer} refuses {item.sop_uid} with {status:04X}H", item.sop_class)


def _read_object(path: Path) -> _Object:
    try:
        meta, _ = split_dataset(path)
        return _Object(
            path, str(meta.MediaStorageSOPInstanceUID), str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)
        )
    except Exception as fault:  # noqa: BLE001  # pydicom raises anything at all on broken bytes
        raise UnreadableFile(f"{path} is not a DICOM file ({type(fault).__name__})") from None
