"""Pending storage commitment reports, written to disk before the N-ACTION is answered with success.

One file for each: ``<TransactionUID>-<12 hex digits of sha256 over both AE titles>.json``. The file is removed when the
requester has answered the N-EVENT-REPORT, or when a durable event says why the report could not be delivered.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.archive.protocol.command import Status
from orchestrator.archive.protocol.uid import is_uid, printable_uid
from orchestrator.archive.spool.deferred_events import DeferredEvent, DeferredEvents
from orchestrator.durable import DurableFolders, sync_folder, write_durably

UNREPORTED, REFUSED, UNREADABLE = "commitment-unreported", "commitment-refused", "commitment-unreadable"
"""Kinds of the events for reports that were not delivered."""
_WARNINGS = {0x0001, 0x0107, 0x0116}
"""Warning statuses: the requester accepted the report (PS3.7 C.4)."""
_DIGEST_DIGITS = 12
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reference:
    """One object in a storage commitment request."""

    sop_class: str
    sop_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentRequest:
    """One request for storage commitment.

    requester: calling AE title. provider: called AE title of this host. requested_at: seconds since 1970.
    association: the association of the request, which takes the report while it is open; empty after a restart.
    """

    requester: str
    provider: str
    transaction_uid: str
    references: tuple[Reference, ...]
    requested_at: float
    association: str = ""


class PendingReports:
    """The folder of pending reports; only one process at a time may change it.

    A request replaces a pending one with the same transaction and requester: a sender that repeats its request before
    it has the report gets one report. A sender that repeats it later gets another report.
    """

    def __init__(self, folder: Path, events: DeferredEvents) -> None:
        self._folder = folder
        self._folders = DurableFolders(folder.parent)
        self._events = events
        self._lock = threading.Lock()
        self._requests: dict[str, CommitmentRequest] = {}  # by file name

    def load(self) -> list[CommitmentRequest]:
        """Read the requests that an earlier process left and return them, oldest first.

        A file that cannot be read is renamed to ``.broken``, and an event says so.
        """
        for part in self._folder.glob(".*.part"):  # incomplete, so its request was not acknowledged
            with suppress(OSError):
                part.unlink()
        for path in self._folder.glob("*.json"):
            try:
                self._requests[path.name] = _read(path)
            except (OSError, ValueError, TypeError, KeyError) as fault:
                self._rename_broken(path, fault)
        return sorted(self._requests.values(), key=lambda request: request.requested_at)

    def read_all(self) -> list[CommitmentRequest]:
        """Return the requests in the folder, oldest first; any process may call this."""
        requests = []
        for path in self._folder.glob("*.json"):
            with suppress(OSError, ValueError, TypeError, KeyError):
                requests.append(_read(path))
        return sorted(requests, key=lambda request: request.requested_at)

    def add(self, request: CommitmentRequest) -> None:
        """Write the request to disk; only after this may the N-ACTION be answered with success.

        Raises OSError.
        """
        path = self._path(request)
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        with self._lock:
            self._folders.make(self._folder)
            write_durably(path, _content(request))
            self._requests[path.name] = request

    def is_pending(self, request: CommitmentRequest) -> bool:
        """Return whether the report of this request is pending; False where a newer request replaced this one."""
        return self._requests.get(self._path(request).name) is request

    def of_association(self, association: str) -> list[CommitmentRequest]:
        """Return the pending requests that came on the association."""
        with self._lock:
            return [request for request in self._requests.values() if request.association == association]

    def record_answer(self, request: CommitmentRequest, status: int) -> None:
        """Remove the request, because the requester answered the report; an event is recorded where it refused."""
        if status == Status.SUCCESS or status in _WARNINGS:
            self._end(request, None)
            return
        uid = request.transaction_uid
        text = f"{request.requester} refused the storage commitment report of transaction {uid} with {status:04X}H"
        self._end(request, DeferredEvent(REFUSED, uid, f"{text}; the sender can repeat its request"))

    def give_up(self, request: CommitmentRequest, why: str) -> None:
        """Remove the request, because the report cannot be delivered; ``why`` is the text of its event."""
        self._end(request, DeferredEvent(UNREPORTED, request.transaction_uid, why))

    def _end(self, request: CommitmentRequest, event: DeferredEvent | None) -> None:
        """Remove the request once its event is durable; keep it where the event cannot be written."""
        path = self._path(request)
        try:
            with self._lock:
                if not self.is_pending(request):
                    return
                if event is not None:
                    self._events.put(path.stem, event)
                    _log.warning("%s", event.text)
                path.unlink(missing_ok=True)
                del self._requests[path.name]
                sync_folder(self._folder)
        except OSError as fault:
            _log.error(
                "storage commitment transaction %s of %s stays pending: its end cannot be written to %s (%s)",
                request.transaction_uid,
                request.requester,
                self._folder,
                type(fault).__name__,
            )

    def _rename_broken(self, path: Path, fault: Exception) -> None:
        subject = printable_uid(path.name.partition("-")[0])
        text = f"report of storage commitment transaction {subject} not sent: its file cannot be read"
        text = f"{text} ({type(fault).__name__})"
        _log.error("%s; renaming the file in %s to .broken", text, self._folder)
        try:
            event = DeferredEvent(UNREADABLE, subject, f"{text}; the sender can repeat its request")
            self._events.put(path.stem, event)
            path.rename(path.with_suffix(".broken"))
        except OSError as second:
            _log.error("the file in %s cannot be renamed (%s)", self._folder, type(second).__name__)

    def _path(self, request: CommitmentRequest) -> Path:
        return self._folder / _name(request)


def _name(request: CommitmentRequest) -> str:
    digest = hashlib.sha256(f"{request.requester}\\{request.provider}".encode()).hexdigest()
    return f"{request.transaction_uid}-{digest[:_DIGEST_DIGITS]}.json"


def _content(request: CommitmentRequest) -> bytes:
    record = {
        "requester": request.requester,
        "provider": request.provider,
        "transaction_uid": request.transaction_uid,
        "asked_at": request.requested_at,
        "references": [[reference.sop_class, reference.sop_uid] for reference in request.references],
    }
    return json.dumps(record).encode()


def _read(path: Path) -> CommitmentRequest:
    """Return the request in a file.

    Raises OSError, ValueError, TypeError, KeyError where the file holds no valid request.
    """
    record: Mapping[str, Any] = json.loads(path.read_bytes())
    request = CommitmentRequest(
        requester=record["requester"],
        provider=record["provider"],
        transaction_uid=record["transaction_uid"],
        requested_at=float(record["asked_at"]),
        references=tuple(Reference(sop_class, sop_uid) for sop_class, sop_uid in record["references"]),
    )
    uids = (uid for reference in request.references for uid in (reference.sop_class, reference.sop_uid))
    if not request.references or not all(map(is_uid, uids)) or path.name != _name(request):
        raise ValueError("request has no objects, invalid UIDs, or another transaction than its file name")
    return request
