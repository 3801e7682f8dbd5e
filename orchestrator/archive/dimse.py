"""An archive that is asked and fed over the DICOM network: C-ECHO, C-FIND, C-STORE as a user."""

from __future__ import annotations

import logging
import socket
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset
from pynetdicom import AE, _config, build_context, evt
from pynetdicom.association import Association
from pynetdicom.dsutils import split_dataset
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind, Verification  # type: ignore[attr-defined]

from orchestrator.archive.encoded import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION
from orchestrator.archive.identity import ATTRIBUTES, one_patient, study_identity
from orchestrator.archive.negotiation import ANNOUNCED_PDU_BYTES
from orchestrator.domain.errors import ArchiveRefused, ArchiveUnavailable, UnreadableFile
from orchestrator.domain.ports import ObjectReference
from orchestrator.domain.series import StudyIdentity

_config.STORE_SEND_CHUNKED_DATASET = True  # a file's bytes go out as they are, never decoded and encoded again
_config.LOG_HANDLER_LEVEL = "none"  # the standard lines quote identifiers, that is patients
_config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False
logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)  # what matters of its lines is in our errors

_FIND = StudyRootQueryRetrieveInformationModelFind
_SUCCESS, _PENDING = 0x0000, (0xFF00, 0xFF01)
_TRANSIENT_REJECTION = 0x02
_MAXIMUM_CONTEXTS = 128  # PS3.8 9.3.2.2: odd IDs of one byte
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Outgoing:
    path: Path
    sop_uid: str
    sop_class: str
    transfer_syntax: str


class DimseArchive:
    """The archive of that AE title on a host and port; each call is one association."""

    def __init__(
        self, name: str, called: str, host: str, port: int, *, ae_title: str, ask: bool, timeout_seconds: float
    ) -> None:
        self._name = name
        self._called = called
        self._host = host
        self._port = port
        self._ask = ask
        self._entity = AE(ae_title)
        self._entity.maximum_pdu_size = ANNOUNCED_PDU_BYTES
        self._entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        self._entity.implementation_version_name = IMPLEMENTATION_VERSION
        self._entity.connection_timeout = self._entity.acse_timeout = min(timeout_seconds, 10.0)
        self._entity.dimse_timeout = self._entity.network_timeout = timeout_seconds

    @property
    def name(self) -> str:
        """The archive's name in the settings."""
        return self._name

    def echo(self) -> float:
        """Return the seconds that the archive took to answer a C-ECHO.

        Raises ArchiveUnavailable, ArchiveRefused.
        """
        with self._association([build_context(Verification)], "C-ECHO") as association:
            start = time.perf_counter()
            status = self._status(association.send_c_echo(), "C-ECHO")
            if status != _SUCCESS:
                raise ArchiveRefused(f"{self} answers a C-ECHO with {status:04X}H")
            return time.perf_counter() - start

    def identity(self, study_uid: str) -> StudyIdentity | None:
        """Return patient and study as the archive holds them now, None where it lacks the study.

        Raises ArchiveUnavailable, ArchiveRefused (several patients; a query that is not understood).
        """
        query = Dataset()
        for keyword in ATTRIBUTES[1:]:
            setattr(query, keyword, "")
        query.StudyInstanceUID = study_uid
        with self._questions() as association:
            answers = [self._identity(answer) for answer in self._find(association, "STUDY", query)]
        # a key that an archive does not know matches everything there
        return one_patient([answer for answer in answers if answer.study_uid == study_uid], self._name, study_uid)

    def missing(self, references: Sequence[ObjectReference]) -> frozenset[str]:
        """Return the SOP Instance UIDs that the archive does not hold in that study and series.

        One query for each series. Raises ArchiveUnavailable, ArchiveRefused.
        """
        wanted: dict[tuple[str, str], set[str]] = defaultdict(set)
        for reference in references:
            wanted[reference.study_uid, reference.series_uid].add(reference.sop_uid)
        if not wanted:
            return frozenset()
        with self._questions() as association:
            absent = [uids - self._held(association, *series) for series, uids in wanted.items()]
        return frozenset().union(*absent)

    def store(self, paths: Sequence[Path]) -> None:
        """Send the files in one association and return when each was answered with success.

        A warning (BxxxH) counts as stored and is logged. Raises ArchiveUnavailable, ArchiveRefused,
        UnreadableFile.
        """
        outgoing = [_outgoing(path) for path in paths]
        kinds = sorted({(item.sop_class, item.transfer_syntax) for item in outgoing})
        if not outgoing:
            return
        if len(kinds) > _MAXIMUM_CONTEXTS:
            raise ArchiveRefused(f"{len(kinds)} kinds of objects do not fit into one association ({_MAXIMUM_CONTEXTS})")
        with self._association([build_context(*kind) for kind in kinds], "C-STORE") as association:
            self._check_contexts(association, outgoing)
            for number, item in enumerate(outgoing, start=1):
                self._send(association, item, number)

    def __str__(self) -> str:
        return f"archive {self._name!r} ({self._called} at {self._host}:{self._port})"

    @contextmanager
    def _questions(self) -> Iterator[Association]:
        if not self._ask:
            raise ArchiveRefused(f"{self} is set not to be asked (ask = false)")
        with self._association([build_context(_FIND)], "C-FIND") as association:
            yield association

    @contextmanager
    def _association(self, contexts: list[PresentationContext], purpose: str) -> Iterator[Association]:
        """Yield an open association; released at the end, aborted where something went wrong."""
        sockets: list[socket.socket] = []
        association = self._entity.associate(
            self._host,
            self._port,
            contexts=contexts,
            ae_title=self._called,
            max_pdu=ANNOUNCED_PDU_BYTES,
            evt_handlers=[(evt.EVT_ACSE_SENT, _prepare, [sockets])],
        )
        if not association.is_established:
            for unconnected in sockets:
                unconnected.close()
            raise self._not_established(association, purpose)
        try:
            yield association
        except BaseException:
            association.abort()
            raise
        association.release()

    def _not_established(self, association: Association, purpose: str) -> ArchiveUnavailable | ArchiveRefused:
        answer = association.acceptor.primitive
        if association.is_rejected and answer is not None and answer.result != _TRANSIENT_REJECTION:
            return ArchiveRefused(f"{self} rejects {self._entity.ae_title}: {answer.reason_str}")
        if association.is_rejected:
            return ArchiveUnavailable(f"{self} takes no association now")
        if association.rejected_contexts:
            return ArchiveRefused(f"{self} offers no {purpose} for any of {len(association.rejected_contexts)} kinds")
        return ArchiveUnavailable(f"{self} does not answer")

    def _find(self, association: Association, level: str, query: Dataset) -> Iterator[Dataset]:
        query.QueryRetrieveLevel = level
        for answer, identifier in association.send_c_find(query, _FIND):
            status = self._status(answer, "C-FIND")
            if status in _PENDING and identifier is not None:
                yield identifier
            elif status in _PENDING:
                raise ArchiveRefused(f"{self} answers a C-FIND on level {level} with what is no data set")
            elif status >> 8 == 0xA7:
                raise ArchiveUnavailable(f"{self} is out of resources for a C-FIND ({status:04X}H)")
            elif status != _SUCCESS:
                raise ArchiveRefused(f"{self} answers a C-FIND on level {level} with {status:04X}H")

    def _identity(self, answer: Dataset) -> StudyIdentity:
        """Return who the answer speaks of; a name that could be read in two ways is not read at all."""
        identity = study_identity(answer)
        texts = "".join((identity.patient_id, identity.patient_name, identity.accession_number))
        if not answer.get("SpecificCharacterSet") and (not texts.isascii() or "\x1b" in texts):
            raise ArchiveRefused(
                f"{self} answers for study {identity.study_uid} with text outside ASCII and names no character set, "
                "so patients cannot be compared: set the character set there, or ask = false here"
            )
        return identity

    def _held(self, association: Association, study_uid: str, series_uid: str) -> set[str]:
        query = Dataset()
        query.StudyInstanceUID = study_uid
        query.SeriesInstanceUID = series_uid
        query.SOPInstanceUID = ""
        return {
            str(answer.get("SOPInstanceUID", ""))
            for answer in self._find(association, "IMAGE", query)
            if answer.get("StudyInstanceUID", study_uid) == study_uid
            and answer.get("SeriesInstanceUID", series_uid) == series_uid
        }

    def _check_contexts(self, association: Association, outgoing: Sequence[_Outgoing]) -> None:
        """Raise ArchiveRefused before anything is sent where not everything can be."""
        taken = {(context.abstract_syntax, context.transfer_syntax[0]) for context in association.accepted_contexts}
        for item in outgoing:
            if (item.sop_class, item.transfer_syntax) not in taken:
                raise ArchiveRefused(
                    f"{self} takes no object of class {item.sop_class} in transfer syntax {item.transfer_syntax}"
                )

    def _send(self, association: Association, item: _Outgoing, number: int) -> None:
        if not association.is_established:
            raise ArchiveUnavailable(f"{self} ended the association before {item.sop_uid} was sent")
        status = self._status(association.send_c_store(item.path, msg_id=(number - 1) % 0xFFFF + 1), "C-STORE")
        if status >> 12 == 0xB:
            _log.warning("%s stored %s with warning %04XH", self, item.sop_uid, status)
        elif status >> 8 == 0xA7:
            raise ArchiveUnavailable(f"{self} is out of resources for {item.sop_uid} ({status:04X}H)")
        elif status != _SUCCESS:
            raise ArchiveRefused(f"{self} refuses {item.sop_uid} with {status:04X}H")

    def _status(self, answer: Dataset, request: str) -> int:
        if "Status" not in answer:
            raise ArchiveUnavailable(f"{self} did not answer a {request}: the connection was lost, aborted or too slow")
        return int(answer.Status)


def _outgoing(path: Path) -> _Outgoing:
    try:
        meta, _ = split_dataset(path)
        return _Outgoing(
            path, str(meta.MediaStorageSOPInstanceUID), str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)
        )
    except Exception as fault:  # noqa: BLE001  # pydicom raises anything at all on broken bytes
        raise UnreadableFile(f"{path} is no DICOM file that can be sent ({type(fault).__name__})") from None


def _prepare(event: evt.Event, sockets: list[socket.socket]) -> None:
    """Set the socket up before it connects, and keep it: pynetdicom forgets to close one that could not."""
    transport = event.assoc.dul.socket
    if not sockets and transport is not None and transport.socket is not None:
        transport.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sockets.append(transport.socket)
