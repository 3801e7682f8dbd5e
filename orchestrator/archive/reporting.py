"""Reports of storage commitment for senders that did not wait for them: on an association of our own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor

from pynetdicom import build_context

from orchestrator.archive.admission import Known
from orchestrator.archive.commitment import PUSH_MODEL, PUSH_MODEL_INSTANCE
from orchestrator.archive.dimse.peer import Peer
from orchestrator.archive.promise import Report
from orchestrator.domain.errors import ArchiveError

WAITS_SECONDS = (0.0, 10.0, 60.0, 600.0)
_LIMIT_SECONDS = 10.0
_log = logging.getLogger(__name__)


class Reporter:
    """Brings reports to where the settings say that their requesters listen; a few times, then they ask again."""

    def __init__(self, senders: Collection[Known], *, waits_seconds: Sequence[float] = WAITS_SECONDS) -> None:
        """Bring nothing yet. waits_seconds: before each attempt."""
        self._listening = {sender.ae_title: sender for sender in senders if sender.host}
        self._waits = waits_seconds
        self._ended = threading.Event()
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="report")

    def later(self, report: Report) -> None:
        """Return at once; the report is brought by a thread of its own."""
        if report.requester not in self._listening:
            _log.warning(
                "%s left before it was told of transaction %s; [[sender]] can say where it listens",
                report.requester,
                report.transaction_uid,
            )
        elif not self._ended.is_set():
            self._threads.submit(self._bring, report)

    def close(self) -> None:
        """Bring no more; what is on its way has its time."""
        self._ended.set()
        self._threads.shutdown(cancel_futures=True)

    def _bring(self, report: Report) -> None:
        for wait in self._waits:
            if self._ended.wait(wait):
                return
            try:
                if fault := self._attempt(report):
                    _log.warning(
                        "%s is not told of transaction %s: %s", report.requester, report.transaction_uid, fault
                    )
                else:
                    return
            except Exception:  # noqa: BLE001  # nobody looks at a thread's future, and the next report must go out
                _log.exception("the report of transaction %s failed", report.transaction_uid)
                return

    def _attempt(self, report: Report) -> str:
        """Return why the requester was not told, empty where it was (PS3.4 J.3.3)."""
        sender = self._listening[report.requester]
        peer = Peer(
            sender.ae_title,
            sender.ae_title,
            sender.host,
            sender.port,
            ae_title=report.provider,
            timeout_seconds=_LIMIT_SECONDS,
            tls=sender.tls,
        )
        contexts = [build_context(PUSH_MODEL)]
        try:
            with peer.association(contexts, "reports of storage commitment", provided=[PUSH_MODEL]) as association:
                answer, _ = association.send_n_event_report(
                    report.dataset(), report.event, PUSH_MODEL, PUSH_MODEL_INSTANCE
                )
                peer.status(answer, "N-EVENT-REPORT")
        except ArchiveError as fault:
            return str(fault)
        return ""
