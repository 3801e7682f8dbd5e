"""Receives instances by STOW-RS (PS3.18 10.5) into the spool, with a result for each."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from uuid import uuid4

from orchestrator.archive.http.multipart import MultipartReader, Part
from orchestrator.archive.protocol.command import Status
from orchestrator.archive.protocol.negotiation import SopClassFilter, is_file_encoding
from orchestrator.archive.protocol.part10 import FileDescription, describe_file
from orchestrator.archive.protocol.uid import is_uid, printable_uid
from orchestrator.archive.receiver.operations import Refusal, refusal
from orchestrator.archive.spool.arrival import Arrival, Closed, Notification
from orchestrator.archive.spool.spool import Origin, Spool
from orchestrator.domain.errors import StorageFull, UnreadableFile

SOURCE = "stow-rs"
"""The source of instances received by STOW-RS; the source of a fetched instance is the name of its archive."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StowResult:
    """The result for one part. reason: 0 = stored, else its Failure Reason (PS3.18 table I.2-2).

    sop_class, sop_uid: empty where the part has no valid ones.
    """

    reason: int
    sop_class: str = ""
    sop_uid: str = ""

    @property
    def is_full(self) -> bool:
        """Whether the part was refused because the disk is full."""
        return self.reason == Status.OUT_OF_RESOURCES


class Stow:
    """Receives the instances of requests; to the engine, each request is one association."""

    def __init__(self, spool: Spool, accepts: SopClassFilter, notify: Callable[[Notification], object]) -> None:
        self._spool = spool
        self._accepts = accepts
        self._notify = notify

    def take(
        self, pieces: Iterable[bytes], boundary: str, study_uid: str = "", client: str = ""
    ) -> Iterator[StowResult]:
        """Yield the result for each part of a request, once the part is durable or refused.

        study_uid: refuse instances of other studies; empty = accept any study. client: address, for the log.
        Raises BrokenMultipart, and whatever the iterator of pieces raises; instances stored before that stay.
        """
        request, complete = uuid4().hex, False
        try:
            for part in MultipartReader(pieces, boundary):
                yield self._store_part(part, request, study_uid, client)
            complete = True
        finally:
            self._notify(Closed(association=request, released=complete, calling="", called=""))

    def _store_part(self, part: Part, request: str, study_uid: str, client: str) -> StowResult:
        sop_class = sop_uid = ""
        try:
            if part.headers.get("content-type", "application/dicom").partition(";")[0].strip() != "application/dicom":
                raise UnreadableFile("content type of the part is not application/dicom")
            file = describe_file(part.pieces)
            sop_class, sop_uid = (uid if is_uid(uid) else "" for uid in (file.sop_class, file.sop_uid))
            self._check(file)
            self._notify(self._store(file, request, study_uid))
            return StowResult(Status.SUCCESS, sop_class, sop_uid)
        except (Refusal, UnreadableFile, StorageFull, OSError) as fault:
            reason = refusal(fault)
            _log.warning(
                "STOW-RS of %s from %s refused with %04XH: %s",
                printable_uid(sop_uid),
                client,
                reason.status,
                reason.comment,
            )
            return StowResult(reason.status, sop_class, sop_uid)

    def _check(self, file: FileDescription) -> None:
        """Raise Refusal where the receiver would refuse the instance too."""
        if not is_uid(file.sop_uid):
            raise Refusal(Status.CANNOT_UNDERSTAND, "SOP Instance UID is invalid")
        if not self._accepts(file.sop_class):
            uid = printable_uid(file.sop_class)
            raise Refusal(Status.SOP_CLASS_NOT_SUPPORTED, f"SOP class {uid} is not accepted; add it to receiver.accept")
        if not is_file_encoding(file.transfer_syntax):
            raise Refusal(Status.TRANSFER_SYNTAX_NOT_SUPPORTED, "transfer syntax is not a standard one for files")

    def _store(self, file: FileDescription, request: str, study_uid: str) -> Arrival:
        identity = (file.sop_class, file.sop_uid, file.transfer_syntax)
        incoming = self._spool.receive(Origin(*identity, calling="", called="", association=request, source=SOURCE))
        try:
            for piece in file.dataset:
                incoming.write(memoryview(piece))
            return incoming.file(of_study=study_uid)
        finally:
            incoming.discard()
