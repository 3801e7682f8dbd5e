"""C-GET and C-MOVE in the Study Root model (PS3.4 C.6.2): images to us, or to our receiver."""

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
from orchestrator.archive.dimse.query import questions
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
"""What the archive may have stored, so that it sends what it holds and encodes nothing anew."""
TRANSFER_SYNTAXES = (*_PLAIN, *_OTHERS)
_FALLBACK = sorted(uid for uid in STORAGE_CLASSES if UID(uid).name.endswith("Image Storage"))
"""What may come where an archive does not say of which classes its objects are."""
_NO_MOVE_DESTINATION, _WARNING = 0xA801, 0xB
_SILENCE_SECONDS = 600.0  # an archive need not say anything between the first image and the last of a C-MOVE
_MESSAGE = 1
_PIECE = 1 << 20
_log = logging.getLogger(__name__)


def get(peer: Peer, series: FoundSeries, inbox: Inbox) -> int:
    """Return how many instances of the series came by C-GET and are settled in the inbox.

    Raises NotOffered, ArchiveUnavailable (not all of them came; what came stays), ArchiveRefused, StorageFull,
    OSError.
    """
    held = _held(peer, series)
    known = sorted(filter(is_uid, set(held.values())))
    classes = known or _FALLBACK
    taking = _Taking(peer, inbox)
    with peer.association(
        [build_context(GET), *_contexts(classes)],
        "C-GET",
        provided=classes,
        handlers=[(evt.EVT_C_STORE, taking.store)],
    ) as association:
        _check_offered(peer, association, known)
        outcome = _outcome(peer, association.send_c_get(_identifier(series), GET, _MESSAGE), "C-GET")
    taking.check()
    _check_whole(peer, outcome, "C-GET", series.series_uid, left_out=taking.left_out)
    lacking = held.keys() - taking.seen
    if lacking:
        raise ArchiveUnavailable(f"{peer} handed out {len(taking.kept)} of {len(held)} images of {series.series_uid}")
    inbox.settle()
    return len(taking.kept)


def move(peer: Peer, series: FoundSeries, destination: str) -> int:
    """Return how many instances of the series the archive has sent to that AE title, each of them acknowledged there.

    Raises NotOffered, ArchiveUnavailable (not all of them went), ArchiveRefused.
    """
    request = f"C-MOVE to {destination}"
    with peer.association([build_context(MOVE)], "C-MOVE") as association:
        association.dimse_timeout = max(peer.timeout_seconds, _SILENCE_SECONDS)
        outcome = _outcome(peer, association.send_c_move(_identifier(series), destination, MOVE), request)
    _check_whole(peer, outcome, request, series.series_uid)
    return outcome.completed + outcome.warned


@dataclass(frozen=True, slots=True)
class _Outcome:
    """How a retrieve ended, with its sub-operations by how they ended (PS3.4 C.4.2.1.6 to C.4.2.1.9)."""

    status: int
    completed: int
    failed: int
    warned: int


class _Taking:
    """Answers the C-STOREs of one C-GET; its images are durable at its end: the archive keeps what it hands out.

    A file that is broken or of another series stops none of those beside it; a disk that takes no more
    ends the retrieve.
    """

    def __init__(self, peer: Peer, inbox: Inbox) -> None:
        self._peer = peer
        self._inbox = inbox
        self._fault: Exception | None = None
        self.left_out = 0
        self.kept: set[str] = set()
        self.seen: set[str] = set()

    def store(self, event: evt.Event) -> int:
        """Return the status for one C-STORE (PS3.4 B.2.3)."""
        request = cast(C_STORE, event.request)
        sop_uid = str(request.AffectedSOPInstanceUID or "")
        if self._fault is not None:
            return Status.OUT_OF_RESOURCES
        self.seen.add(sop_uid)
        try:
            syntax, pieces = str(event.context.transfer_syntax), _pieces(request.DataSet or BytesIO())
            self.kept.add(self._inbox.dataset(str(request.AffectedSOPClassUID), sop_uid, syntax, pieces))
        except UnreadableFile as fault:
            _log.warning("%s hands out %s, which is left out: %s", self._peer, printable_uid(sop_uid), fault)
            self.left_out += 1
            return Status.CANNOT_UNDERSTAND
        except Exception as fault:  # noqa: BLE001  # pynetdicom would swallow it; ``check`` raises it later
            self._fault = fault
            event.assoc.send_c_cancel(_MESSAGE, query_model=GET)
            return Status.OUT_OF_RESOURCES
        return Status.SUCCESS

    def check(self) -> None:
        """Raise what kept an image from being kept: StorageFull, OSError, or a fault of ours.

        Raises ArchiveRefused where images came and none of them could be kept.
        """
        if self._fault is not None:
            raise self._fault
        if self.seen and not self.kept:
            raise ArchiveRefused(f"{self._peer} hands out nothing that can be kept; the log says why of each image")


def _pieces(encoded: BytesIO) -> Iterator[bytes]:
    encoded.seek(0)  # pynetdicom leaves it at its end
    return iter(partial(encoded.read, _PIECE), b"")


def _held(peer: Peer, series: FoundSeries) -> dict[str, str]:
    """Return SOP Instance UID -> SOP Class UID of what the archive says it holds, nothing where it does not say."""
    try:
        with questions(peer) as asked:
            answers = list(asked.images(series.study_uid, series.series_uid))
    except ArchiveRefused:
        return {}
    held = {first(answer, "SOPInstanceUID"): first(answer, "SOPClassUID") for answer in answers}
    return {sop_uid: sop_class for sop_uid, sop_class in held.items() if is_uid(sop_uid)}


def _contexts(classes: Sequence[str]) -> list[PresentationContext]:
    """Return contexts for the classes: one for each transfer syntax, so that nothing need be encoded anew.

    Where these are too many, one for each class, and the archive chooses.
    """
    plain = [build_context(sop_class, _PLAIN) for sop_class in classes]
    others = [build_context(sop_class, syntax) for sop_class in classes for syntax in _OTHERS]
    if len(plain) + len(others) < MAXIMUM_CONTEXTS:
        return plain + others
    return [build_context(sop_class, [*_PLAIN, *_OTHERS]) for sop_class in classes[: MAXIMUM_CONTEXTS - 1]]


def _check_offered(peer: Peer, association: Association, classes: Iterable[str]) -> None:
    """Raise NotOffered where there is no C-GET, or some of the classes do not come by it."""
    offered = {str(context.abstract_syntax) for context in association.accepted_contexts}
    if GET not in offered:
        raise NotOffered(f"{peer} offers no C-GET")
    given = {str(context.abstract_syntax) for context in association.accepted_contexts if context.as_scp}
    for sop_class in classes:
        if sop_class not in given:
            raise NotOffered(f"{peer} hands out no objects of class {sop_class} by C-GET")


def _identifier(series: FoundSeries) -> Dataset:
    """Return the unique keys of a series (PS3.4 C.4.2.1.4)."""
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "SERIES"
    identifier.StudyInstanceUID = series.study_uid
    identifier.SeriesInstanceUID = series.series_uid
    return identifier


def _outcome(peer: Peer, answers: Iterator[tuple[Dataset, Dataset | None]], request: str) -> _Outcome:
    """Return the last of the answers.

    Raises ArchiveUnavailable where the association ended before.
    """
    for answer, _ in answers:
        status = peer.status(answer, request)
        if status not in PENDING:
            numbers = (answer.get(f"NumberOf{kind}Suboperations") or 0 for kind in ("Completed", "Failed", "Warning"))
            return _Outcome(status, *map(int, numbers))
    raise ArchiveUnavailable(f"{peer} did not end its answers to a {request}")


def _check_whole(peer: Peer, outcome: _Outcome, request: str, series_uid: str, *, left_out: int = 0) -> None:
    """Raise ArchiveUnavailable or ArchiveRefused where not everything was sent (PS3.4 tables C.4-2 and C.4-3).

    left_out: images that we refused ourselves, failures to the archive.
    """
    status, sent = outcome.status, outcome.completed + outcome.warned
    if status == _NO_MOVE_DESTINATION:
        raise ArchiveRefused(f"{peer} knows no destination of that name for a {request}: add it, with host and port")
    if status >> 8 == 0xA7:
        raise ArchiveUnavailable(f"{peer} is out of resources for a {request} of {series_uid} ({status:04X}H)")
    if status == CANCELLED:
        raise ArchiveUnavailable(f"{peer} cancelled a {request} of {series_uid} after {sent} images")
    if status != SUCCESS and status >> 12 != _WARNING:
        raise ArchiveRefused(f"{peer} answers a {request} of {series_uid} with {status:04X}H")
    if outcome.failed > left_out:
        raise ArchiveUnavailable(
            f"{peer} ended a {request} of {series_uid} with {status:04X}H: "
            f"{outcome.failed - left_out} images failed beside {sent} that were sent"
        )
