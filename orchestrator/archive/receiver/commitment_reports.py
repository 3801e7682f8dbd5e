"""Sends storage commitment reports on new associations, to senders that closed theirs before the report."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass, field

from pynetdicom import build_context

from orchestrator.archive.commitment.pending_reports import CommitmentRequest, PendingReports
from orchestrator.archive.commitment.report import make_report
from orchestrator.archive.dimse.peer import Peer
from orchestrator.archive.protocol.negotiation import PUSH_MODEL, PUSH_MODEL_INSTANCE
from orchestrator.archive.receiver.admission import KnownSender
from orchestrator.archive.spool.spool import Spool
from orchestrator.backoff import Backoff
from orchestrator.domain.errors import ArchiveError

RETRIES = Backoff(10.0, 600.0)
_LIMIT_SECONDS = 10.0
_DAY_SECONDS = 86_400.0
_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Queue:
    """The pending reports for one sender. Each sender has its own thread, so none delays the others."""

    sender: KnownSender
    requests: list[CommitmentRequest] = field(default_factory=list)
    failures: int = 0
    wake: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None


class Reporter:
    """Sends pending reports to the addresses of their requesters in the settings, until they answer or time is up.

    After a failure, each attempt sends only one report, and the waits between attempts grow.
    """

    def __init__(
        self,
        spool: Spool,
        pending_reports: PendingReports,
        senders: Collection[KnownSender],
        *,
        limit_seconds: float,
        retries: Backoff = RETRIES,
    ) -> None:
        """Send nothing yet.

        limit_seconds: how long after the request a report is retried.
        retries: how long to wait after failures.
        """
        self._spool = spool
        self._pending_reports = pending_reports
        self._queues = {sender.ae_title: _Queue(sender) for sender in senders if sender.host}
        self._limit_seconds = limit_seconds
        self._retries = retries
        self._stop = threading.Event()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Schedule the reports that an earlier process left."""
        requests = self._pending_reports.load()
        if requests:
            _log.info("storage commitment reports pending since before the start: %d; sending them now", len(requests))
        for request in requests:
            self.schedule(request)

    def end_association(self, association: str) -> None:
        """Schedule the reports that are still pending when their association has ended."""
        for request in self._pending_reports.of_association(association):
            self.schedule(request)

    def schedule(self, request: CommitmentRequest) -> None:
        """Queue the report for the thread of its sender; give up where the settings have no address of the sender."""
        queue = self._queues.get(request.requester)
        if queue is None:
            text = f"{request.requester} closed its association before the storage commitment report of transaction"
            advice = "add its host and port to [[sender]], then repeat the request there"
            self._pending_reports.give_up(request, f"{text} {request.transaction_uid}; {advice}")
            return
        with self._lock:
            if self._stop.is_set():
                return
            queue.requests.append(request)
            queue.wake.set()
            if queue.thread is None:
                name = f"reports-{request.requester}"
                queue.thread = threading.Thread(target=self._run, args=(queue,), name=name, daemon=True)
                queue.thread.start()

    def close(self) -> None:
        """Send no more reports; a report in transmission gets 10 s, and the others stay pending."""
        with self._lock:
            self._stop.set()
        for queue in self._queues.values():
            queue.wake.set()
        deadline = time.monotonic() + _LIMIT_SECONDS
        for queue in self._queues.values():
            if queue.thread is not None:
                queue.thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self, queue: _Queue) -> None:
        while not self._stop.is_set():
            queue.wake.clear()
            try:
                self._send_all(queue)
            except Exception:  # noqa: BLE001  # nobody sees the end of the thread, and the next report must be sent
                _log.exception("sending storage commitment reports to %s failed; retrying", _address(queue.sender))
                queue.failures += 1
            queue.wake.wait(self._pause_seconds(queue))

    def _pause_seconds(self, queue: _Queue) -> float | None:
        """Return how long to wait before the next attempt, None = until a report is queued."""
        if not queue.requests:
            return None
        return self._retries.seconds(queue.failures)

    def _send_all(self, queue: _Queue) -> None:
        """Send the queued reports up to the first that fails; the failed one moves to the end of the queue."""
        for request in tuple(queue.requests):
            if self._stop.is_set():
                return
            fault = self._send(queue.sender, request) if self._pending_reports.is_pending(request) else ""
            with self._lock:
                queue.requests.remove(request)
                if self._pending_reports.is_pending(request):
                    queue.requests.append(request)
            if fault:
                queue.failures += 1
                self._handle_failure(queue, request, fault)
                return
            queue.failures = 0

    def _handle_failure(self, queue: _Queue, request: CommitmentRequest, fault: str) -> None:
        """Give up the reports that are too old, and log the failed attempt."""
        for each in tuple(queue.requests):
            if time.time() - each.requested_at >= self._limit_seconds:
                days = f"{self._limit_seconds / _DAY_SECONDS:g} days"
                text = f"storage commitment report of transaction {each.transaction_uid} to {each.requester}"
                self._pending_reports.give_up(each, f"{text} not delivered within {days}: {fault}")
        with self._lock:
            queue.requests = [each for each in queue.requests if self._pending_reports.is_pending(each)]
        retry = f"retrying in {self._retries.seconds(queue.failures):g} s"
        _log.warning(
            "storage commitment report of transaction %s to %s failed (%s); %s",
            request.transaction_uid,
            _address(queue.sender),
            fault,
            retry if self._pending_reports.is_pending(request) else "given up",
        )

    def _send(self, sender: KnownSender, request: CommitmentRequest) -> str:
        """Send one report (PS3.4 J.3.3). Return why it failed, empty where the sender answered."""
        peer = Peer(
            sender.ae_title,
            sender.ae_title,
            sender.host,
            sender.port,
            ae_title=request.provider,
            timeout_seconds=_LIMIT_SECONDS,
            tls=sender.tls,
        )
        contexts = [build_context(PUSH_MODEL)]
        try:
            with peer.association(contexts, "storage commitment reports", scp_classes=[PUSH_MODEL]) as association:
                report = make_report(self._spool, request, _address(sender))
                answer, _ = association.send_n_event_report(
                    report.dataset(), report.event, PUSH_MODEL, PUSH_MODEL_INSTANCE
                )
                status = peer.status(answer, "N-EVENT-REPORT")
        except ArchiveError as fault:
            return str(fault)
        except OSError as fault:
            return f"the spool cannot be read ({type(fault).__name__})"
        self._pending_reports.record_answer(request, status)
        return "the answer cannot be written to disk" if self._pending_reports.is_pending(request) else ""


def _address(sender: KnownSender) -> str:
    return f"{sender.ae_title} at {sender.host}:{sender.port}"
