"""C-GET to this host and C-MOVE to its receiver, in the Study Root model (PS3.4 C.6.2)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import cast

from pydicom.dataset import Dataset
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)
from pynetdicom import build_context, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from orchestrator.archive.dimse.peer import CANCELLED, MAXIMUM_CONTEXTS, PENDING, SUCCESS, NotOffered, Peer
from orchestrator.archive.dimse.query import open_queries
from orchestrator.archive.protocol.command import Status
from orchestrator.archive.protocol.negotiation import STORAGE_CLASSES
from orchestrator.archive.protocol.uid import is_uid, printable_uid
from orchestrator.archive.query.matching import first
from orchestrator.domain.errors import ArchiveRefused, ArchiveUnavailable, UnreadableFile
from orchestrator.domain.ports import FoundSeries, Inbox

GET = StudyRootQueryRetrieveInformationModelGet
MOVE = StudyRootQueryRetrieveInformationModelMove

_PLAIN: list[str | UID] = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
_OTHERS: list[str | UID] = [
    *(JPEGLosslessSV1, JPEGLossless, JPEG2000Lossless, JPEGLSLossless, RLELossless),
    *(HTJ2KLossless, HTJ2KLosslessRPCL, JPEGBaseline8Bit, JPEGExtended12Bit, JPEG2000, JPEGLSNearLossless, HTJ2K),
    *(DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian),
]
"""Transfer syntaxes that the archive may have stored, so that it need not convert images."""
TRANSFER_SYNTAXES = (*_PLAIN, *_OTHERS)
_FALLBACK = sorted(uid for uid in STORAGE_CLASSES if UID(uid).name.endswith("Image Storage"))
"""SOP classes to propose where the archive does not send the classes of its objects."""
_NO_MOVE_DESTINATION, _WARNING = 0xA801, 0xB
_SILENCE_SECONDS = 600.0  # an archive may send no answer between the first and the last image of a C-MOVE
_MESSAGE = 1
_PIECE = 1 << 20
_log = logging.getLogger(__name__)


def get(peer: Peer, series: FoundSeries, inbox: Inbox) -> int:
    """Fetch the series by C-GET and return how many instances are durable in the inbox.

    Raises NotOffered, ArchiveUnavailable (incomplete; instances received before stay), ArchiveRefused, StorageFull,
    OSError.
    """
    images = _images(peer, series)
    image_classes = sorted(filter(is_uid, set(images.values())))
    classes = image_classes or _FALLBACK
    receiver = _GetReceiver(peer, inbox)
    with peer.association(
        [build_context(GET), *_contexts(classes)],
        "C-GET",
        scp_classes=classes,
        handlers=[(evt.EVT_C_STORE, receiver.store)],
    ) as association:
        _check_offered(peer, association, image_classes)
        result = _read_result(peer, association.send_c_get(_identifier(series), GET, _MESSAGE), "C-GET")
    receiver.check()
    _check_complete(peer, result, "C-GET", series.series_uid, invalid_count=receiver.invalid_count)
    if images.keys() - receiver.sop_uids:
        count = f"{len(receiver.stored_uids)} of {len(images)} images"
        raise ArchiveUnavailable(f"{peer} sent {count} of series {series.series_uid}")
    inbox.settle()
    return len(receiver.stored_uids)


def move(peer: Peer, series: FoundSeries, destination: str) -> int:
    """Let the archive send the series to that AE title, and return how many instances it acknowledged.

    Raises NotOffered, ArchiveUnavailable (incomplete), ArchiveRefused.
    """
    request = f"C-MOVE to {destination}"
    with peer.association([build_context(MOVE)], "C-MOVE") as association:
        association.dimse_timeout = max(peer.timeout_seconds, _SILENCE_SECONDS)
        result = _read_result(peer, association.send_c_move(_identifier(series), destination, MOVE), request)
    _check_complete(peer, result, request, series.series_uid)
    return result.completed + result.warnings


@dataclass(frozen=True, slots=True)
class _RetrieveResult:
    """The final status of a retrieve, with its numbers of sub-operations (PS3.4 C.4.2.1.6 to C.4.2.1.9)."""

    status: int
    completed: int
    failures: int
    warnings: int


class _GetReceiver:
    """Answers the C-STOREs of one C-GET; the images are durable at its end, because the archive still has them.

    A file that is broken or of another series is left out and does not stop the others. A full disk ends the retrieve.
    """

    def __init__(self, peer: Peer, inbox: Inbox) -> None:
        self._peer = peer
        self._inbox = inbox
        self._fault: Exception | None = None
        self.invalid_count = 0
        self.stored_uids: set[str] = set()
        self.sop_uids: set[str] = set()

    def store(self, event: evt.Event) -> int:
        """Return the status for one C-STORE (PS3.4 B.2.3)."""
        request = cast(C_STORE, event.request)
        sop_uid = str(request.AffectedSOPInstanceUID or "")
        if self._fault is not None:
            return Status.OUT_OF_RESOURCES
        self.sop_uids.add(sop_uid)
        try:
            syntax, pieces = str(event.context.transfer_syntax), _pieces(request.DataSet or BytesIO())
            self.stored_uids.add(self._inbox.dataset(str(request.AffectedSOPClassUID), sop_uid, syntax, pieces))
        except UnreadableFile as fault:
            _log.warning("instance %s from %s left out: %s", printable_uid(sop_uid), self._peer, fault)
            self.invalid_count += 1
            return Status.CANNOT_UNDERSTAND
        except Exception as fault:  # noqa: BLE001  # pynetdicom would hide it; ``check`` raises it later
            self._fault = fault
            event.assoc.send_c_cancel(_MESSAGE, query_model=GET)
            return Status.OUT_OF_RESOURCES
        return Status.SUCCESS

    def check(self) -> None:
        """Raise the fault that ended the retrieve: StorageFull, OSError, or an unexpected exception.

        Raises ArchiveRefused where images arrived and none was valid.
        """
        if self._fault is not None:
            raise self._fault
        if self.sop_uids and not self.stored_uids:
            raise ArchiveRefused(f"{self._peer} sent no valid image; the log has the reason for each image")


def _pieces(stream: BytesIO) -> Iterator[bytes]:
    stream.seek(0)  # pynetdicom leaves it at its end
    return iter(partial(stream.read, _PIECE), b"")


def _images(peer: Peer, series: FoundSeries) -> dict[str, str]:
    """Return SOP Instance UID -> SOP Class UID of the images in the archive, nothing where it refuses the query."""
    try:
        with open_queries(peer) as session:
            answers = list(session.images(series.study_uid, series.series_uid))
    except ArchiveRefused:
        return {}
    images = {first(answer, "SOPInstanceUID"): first(answer, "SOPClassUID") for answer in answers}
    return {sop_uid: sop_class for sop_uid, sop_class in images.items() if is_uid(sop_uid)}


def _contexts(classes: Sequence[str]) -> list[PresentationContext]:
    """Return one context for each class and transfer syntax, so that the archive need not convert images.

    Where these are too many, return one for each class, and the archive chooses the transfer syntax.
    """
    plain = [build_context(sop_class, _PLAIN) for sop_class in classes]
    others = [build_context(sop_class, syntax) for sop_class in classes for syntax in _OTHERS]
    if len(plain) + len(others) < MAXIMUM_CONTEXTS:
        return plain + others
    return [build_context(sop_class, [*_PLAIN, *_OTHERS]) for sop_class in classes[: MAXIMUM_CONTEXTS - 1]]


def _check_offered(peer: Peer, association: Association, classes: Iterable[str]) -> None:
    """Raise NotOffered where the archive does not offer C-GET, or does not send some of the classes by it."""
    if GET not in {str(context.abstract_syntax) for context in association.accepted_contexts}:
        raise NotOffered(f"{peer} offers no C-GET")
    scp_classes = {str(context.abstract_syntax) for context in association.accepted_contexts if context.as_scp}
    for sop_class in classes:
        if sop_class not in scp_classes:
            raise NotOffered(f"{peer} sends no objects of class {sop_class} by C-GET")


def _identifier(series: FoundSeries) -> Dataset:
    """Return the unique keys of a series (PS3.4 C.4.2.1.4)."""
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "SERIES"
    identifier.StudyInstanceUID = series.study_uid
    identifier.SeriesInstanceUID = series.series_uid
    return identifier


def _read_result(peer: Peer, answers: Iterator[tuple[Dataset, Dataset | None]], request: str) -> _RetrieveResult:
    """Return the final answer.

    Raises ArchiveUnavailable where the association ended before it.
    """
    for answer, _ in answers:
        status = peer.status(answer, request)
        if status not in PENDING:
            numbers = (answer.get(f"NumberOf{kind}Suboperations") or 0 for kind in ("Completed", "Failed", "Warning"))
            return _RetrieveResult(status, *map(int, numbers))
    raise ArchiveUnavailable(f"{peer} sent no final answer to a {request}")


def _check_complete(
    peer: Peer, result: _RetrieveResult, request: str, series_uid: str, *, invalid_count: int = 0
) -> None:
    """Raise ArchiveUnavailable or ArchiveRefused where images are missing (PS3.4 tables C.4-2 and C.4-3).

    invalid_count: images that this host refused, which the archive counts as failures.
    """
    status, count = result.status, result.completed + result.warnings
    if status == _NO_MOVE_DESTINATION:
        raise ArchiveRefused(
            f"{peer} does not know the destination of a {request}: add it in the archive, with host and port"
        )
    if status >> 8 == 0xA7:
        raise ArchiveUnavailable(f"{peer} is out of resources for a {request} of {series_uid} ({status:04X}H)")
    if status == CANCELLED:
        raise ArchiveUnavailable(f"{peer} cancelled a {request} of {series_uid} (images sent: {count})")
    if status != SUCCESS and status >> 12 != _WARNING:
        raise ArchiveRefused(f"{peer} answers a {request} of {series_uid} with {status:04X}H")
    if result.failures > invalid_count:
        raise ArchiveUnavailable(
            f"{peer} ended a {request} of {series_uid} with {status:04X}H "
            f"(images failed: {result.failures - invalid_count}, sent: {count})"
        )
