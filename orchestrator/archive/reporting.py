"""Reports of storage commitment for senders that did not wait for them: on an association of our own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor

from pynetdicom import AE, build_context, build_role

from orchestrator.archive.admission import Known
from orchestrator.archive.commitment import PUSH_MODEL, PUSH_MODEL_INSTANCE
from orchestrator.archive.encoded import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION
from orchestrator.archive.promise import Report

WAITS_SECONDS = (0.0, 10.0, 60.0, 600.0)
_LIMIT_SECONDS = 10.0
_log = logging.getLogger(__name__)


class Reporter:
    """Brings reports to where the settings say that their requesters listen; a few times, then they ask again."""

    def __init__(self, senders: Collection[Known], *, waits_seconds: Sequence[float] = WAITS_SECONDS) -> None:
        """Bring nothing yet. waits_seconds: before each attempt."""
        self._addresses = {sender.ae_title: (sender.host, sender.port) for sender in senders if sender.host}
        self._waits = waits_seconds
        self._ended = threading.Event()
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="report")

    def later(self, report: Report) -> None:
        """Return at once; the report is brought by a thread of its own."""
        if report.requester not in self._addresses:
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
        host, port = self._addresses[report.requester]
        entity = AE(report.provider)
        entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        entity.implementation_version_name = IMPLEMENTATION_VERSION
        entity.connection_timeout = entity.acse_timeout = entity.dimse_timeout = _LIMIT_SECONDS
        association = entity.associate(
            host,
            port,
            contexts=[build_context(PUSH_MODEL)],
            ae_title=report.requester,
            ext_neg=[build_role(PUSH_MODEL, scp_role=True)],
        )
        if not association.is_established:
            return f"it takes no association for reports at {host} port {port}"
        try:
            status, _ = association.send_n_event_report(report.dataset(), report.event, PUSH_MODEL, PUSH_MODEL_INSTANCE)
        except ValueError:
            return "it takes no reports (no role as user of storage commitment)"
        finally:
            association.release()
        return "" if "Status" in status else "no answer"
