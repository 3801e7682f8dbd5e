"""Reports of storage commitment for senders that did not wait for them: on an association of our own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass, field

from pynetdicom import build_context

from orchestrator.archive.commitment.pending_reports import Asked, Owed
from orchestrator.archive.commitment.report import report_on
from orchestrator.archive.dimse.peer import Peer
from orchestrator.archive.protocol.negotiation import PUSH_MODEL, PUSH_MODEL_INSTANCE
from orchestrator.archive.receiver.admission import Known
from orchestrator.archive.spool.spool import Spool
from orchestrator.backoff import Backoff
from orchestrator.domain.errors import ArchiveError

RETRIES = Backoff(10.0, 600.0)
_LIMIT_SECONDS = 10.0
_DAY_SECONDS = 86_400.0
_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Errand:
    """What one sender is to be told, by a thread of its own: one that does not answer holds up nobody else."""

    sender: Known
    waiting: list[Asked] = field(default_factory=list)
    failures: int = 0
    woken: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None


class Reporter:
    """Brings owed reports to where the settings say that their requesters listen, until they answer or time is up.

    A sender that does not answer is tried with one report at a time, and later and later.
    """

    def __init__(
        self,
        spool: Spool,
        owed: Owed,
        senders: Collection[Known],
        *,
        limit_seconds: float,
        retries: Backoff = RETRIES,
    ) -> None:
        """Bring nothing yet.

        limit_seconds: from the request on, until an attempt that fails is the last one.
        retries: how long to wait after attempts that fail.
        """
        self._spool = spool
        self._owed = owed
        self._errands = {sender.ae_title: _Errand(sender) for sender in senders if sender.host}
        self._limit_seconds = limit_seconds
        self._retries = retries
        self._ended = threading.Event()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Take up what an earlier process owed."""
        left = self._owed.take_up()
        if left:
            _log.info("%d reports of storage commitment are owed since before the start", len(left))
        for asked in left:
            self.later(asked)

    def closed(self, association: str) -> None:
        """Take up what is owed still of that which was asked on an association that has ended."""
        for asked in self._owed.asked_on(association):
            self.later(asked)

    def later(self, asked: Asked) -> None:
        """Return at once; the report is brought by a thread of its sender."""
        errand = self._errands.get(asked.requester)
        if errand is None:
            text = f"{asked.requester} left before it was told of transaction {asked.transaction_uid}"
            self._owed.give_up(asked, f"{text}; [[sender]] can say where it listens")
            return
        with self._lock:
            if self._ended.is_set():
                return
            errand.waiting.append(asked)
            errand.woken.set()
            if errand.thread is None:
                name = f"reports-{asked.requester}"
                errand.thread = threading.Thread(target=self._run, args=(errand,), name=name, daemon=True)
                errand.thread.start()

    def close(self) -> None:
        """Bring no more; what is on its way has its time, and what is owed stays owed."""
        with self._lock:
            self._ended.set()
        for errand in self._errands.values():
            errand.woken.set()
        deadline = time.monotonic() + _LIMIT_SECONDS
        for errand in self._errands.values():
            if errand.thread is not None:
                errand.thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self, errand: _Errand) -> None:
        while not self._ended.is_set():
            errand.woken.clear()
            try:
                self._round(errand)
            except Exception:  # noqa: BLE001  # nobody looks at a thread's end, and the next report must go out
                _log.exception("reports for %s failed", errand.sender.ae_title)
                errand.failures += 1
            errand.woken.wait(self._pause_seconds(errand))

    def _pause_seconds(self, errand: _Errand) -> float | None:
        """Return how long to wait before the next round, None = until there is something to bring."""
        if not errand.waiting:
            return None
        return self._retries.seconds(errand.failures)

    def _round(self, errand: _Errand) -> None:
        """Bring what waits, up to the first that does not arrive; that one comes last in the next round."""
        for asked in tuple(errand.waiting):
            if self._ended.is_set():
                return
            fault = self._attempt(errand.sender, asked) if self._owed.owes(asked) else ""
            with self._lock:
                errand.waiting.remove(asked)
                if self._owed.owes(asked):
                    errand.waiting.append(asked)
            if fault:
                errand.failures += 1
                self._failed(errand, asked, fault)
                return
            errand.failures = 0

    def _failed(self, errand: _Errand, asked: Asked, fault: str) -> None:
        """Say why an attempt failed, and give up what waited for too long."""
        _log.warning("%s is not told of transaction %s: %s", asked.requester, asked.transaction_uid, fault)
        for each in tuple(errand.waiting):
            if time.time() - each.asked_at >= self._limit_seconds:
                days = f"{self._limit_seconds / _DAY_SECONDS:g} days"
                text = f"{each.requester} was not told of transaction {each.transaction_uid} within {days}"
                self._owed.give_up(each, f"{text}: {fault}")
        with self._lock:
            errand.waiting = [each for each in errand.waiting if self._owed.owes(each)]

    def _attempt(self, sender: Known, asked: Asked) -> str:
        """Return why the requester was not told, empty where it was (PS3.4 J.3.3)."""
        peer = Peer(
            sender.ae_title,
            sender.ae_title,
            sender.host,
            sender.port,
            ae_title=asked.provider,
            timeout_seconds=_LIMIT_SECONDS,
            tls=sender.tls,
        )
        contexts = [build_context(PUSH_MODEL)]
        try:
            with peer.association(contexts, "reports of storage commitment", provided=[PUSH_MODEL]) as association:
                report = report_on(self._spool, asked)
                answer, _ = association.send_n_event_report(
                    report.dataset(), report.event, PUSH_MODEL, PUSH_MODEL_INSTANCE
                )
                status = peer.status(answer, "N-EVENT-REPORT")
        except ArchiveError as fault:
            return str(fault)
        except OSError as fault:
            return f"what lies here cannot be judged ({type(fault).__name__})"
        self._owed.answered(asked, status)
        return "its answer cannot be kept" if self._owed.owes(asked) else ""
