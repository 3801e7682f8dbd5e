"""Receives instances by STOW-RS (PS3.18 10.5) into the spool, with a result for each."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from uuid import uuid4

from orchestrator.archive.http.multipart import MultipartReader, Part
from orchestrator.archive.protocol.command import Status
from orchestrator.archive.protocol.negotiation import Takes, is_file_encoding
from orchestrator.archive.protocol.part10 import Described, describe_file
from orchestrator.archive.protocol.uid import is_uid, shown
from orchestrator.archive.receiver.operations import Refusal, refusal
from orchestrator.archive.spool.arrival import Arrival, Closed, Notification
from orchestrator.archive.spool.spool import Origin, Spool
from orchestrator.domain.errors import StorageFull, UnreadableFile

SOURCE = "stow-rs"
"""The source of these instances; fetched ones have the name of their archive."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one part. reason: 0 = it is kept, else its Failure Reason (PS3.18 table I.2-2).

    sop_class, sop_uid: empty where the part does not say.
    """

    reason: int
    sop_class: str = ""
    sop_uid: str = ""

    @property
    def is_full(self) -> bool:
        """True where only room was missing."""
        return self.reason == Status.OUT_OF_RESOURCES


class Stow:
    """Receives the instances of requests; the engine sees each request as one association."""

    def __init__(self, spool: Spool, takes: Takes, notify: Callable[[Notification], object]) -> None:
        self._spool = spool
        self._takes = takes
        self._notify = notify

    def take(self, pieces: Iterable[bytes], boundary: str, study_uid: str = "") -> Iterator[Verdict]:
        """Yield the verdict on each part of a request when it is durable or refused.

        study_uid: the only study that it may belong to; empty where any will do.
        Raises BrokenMultipart, and what the pieces raise; what was kept before stays.
        """
        request, whole = uuid4().hex, False
        try:
            for part in MultipartReader(pieces, boundary):
                yield self._verdict(part, request, study_uid)
            whole = True
        finally:
            self._notify(Closed(association=request, released=whole, calling="", called=""))

    def _verdict(self, part: Part, request: str, study_uid: str) -> Verdict:
        sop_class = sop_uid = ""
        try:
            if part.headers.get("content-type", "application/dicom").partition(";")[0].strip() != "application/dicom":
                raise UnreadableFile("a part is no application/dicom")
            described = describe_file(part.pieces)
            sop_class, sop_uid = (uid if is_uid(uid) else "" for uid in (described.sop_class, described.sop_uid))
            self._check(described)
            self._notify(self._keep(described, request, study_uid))
            return Verdict(Status.SUCCESS, sop_class, sop_uid)
        except (Refusal, UnreadableFile, StorageFull, OSError) as fault:
            refused = refusal(fault)
            _log.warning("%s by STOW-RS is refused with %04XH: %s", shown(sop_uid), refused.status, refused.comment)
            return Verdict(refused.status, sop_class, sop_uid)

    def _check(self, described: Described) -> None:
        """Raise Refusal where the receiver would not take such an instance either."""
        if not is_uid(described.sop_uid):
            raise Refusal(Status.CANNOT_UNDERSTAND, "the SOP Instance UID is no UID")
        if not self._takes(described.sop_class):
            raise Refusal(Status.SOP_CLASS_NOT_SUPPORTED, f"{shown(described.sop_class)} is not taken: receiver.accept")
        if not is_file_encoding(described.transfer_syntax):
            raise Refusal(Status.TRANSFER_SYNTAX_NOT_SUPPORTED, "its transfer syntax is none of files")

    def _keep(self, described: Described, request: str, study_uid: str) -> Arrival:
        said = (described.sop_class, described.sop_uid, described.transfer_syntax)
        incoming = self._spool.receive(Origin(*said, calling="", called="", association=request, source=SOURCE))
        try:
            for piece in described.dataset:
                incoming.write(memoryview(piece))
            return incoming.file(of_study=study_uid)
        finally:
            incoming.discard()
