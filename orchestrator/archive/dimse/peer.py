"""A remote application entity: opens associations to it and explains their faults."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, _config, build_role, evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext

from orchestrator.archive.dimse.tls import RecordingContext, explain_fault, recording_context
from orchestrator.archive.protocol.dataset import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION
from orchestrator.archive.protocol.negotiation import ANNOUNCED_PDU_BYTES
from orchestrator.domain.errors import ArchiveError, ArchiveRefused, ArchiveUnavailable
from orchestrator.network.tls import TlsFiles

_config.STORE_SEND_CHUNKED_DATASET = True  # send the bytes of a file unchanged, without decoding
_config.LOG_HANDLER_LEVEL = "none"  # pynetdicom's log lines quote identifiers, which are patient data
_config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False
logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)  # the errors raised here say what matters

SUCCESS, PENDING, CANCELLED = 0x0000, (0xFF00, 0xFF01), 0xFE00
MAXIMUM_CONTEXTS = 128
"""Presentation contexts of one association (PS3.8 9.3.2.2: odd IDs of one byte)."""
Handlers = Sequence[tuple[evt.EventType, Callable[..., Any]]]

_TRANSIENT_REJECTION = 0x02


class NotOffered(ArchiveRefused):
    """The archive accepts associations but does not offer the service."""


class Peer:
    """A remote application entity, by AE title, host and port."""

    def __init__(
        self,
        name: str,
        remote_title: str,
        host: str,
        port: int,
        *,
        ae_title: str,
        timeout_seconds: float,
        tls: TlsFiles | None = None,
    ) -> None:
        self.name = name
        self.timeout_seconds = timeout_seconds
        self._remote_title = remote_title
        self._host = host
        self._port = port
        self._tls = tls
        self._entity = AE(ae_title)
        self._entity.maximum_pdu_size = ANNOUNCED_PDU_BYTES
        self._entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        self._entity.implementation_version_name = IMPLEMENTATION_VERSION
        self._entity.connection_timeout = self._entity.acse_timeout = min(timeout_seconds, 10.0)
        self._entity.dimse_timeout = self._entity.network_timeout = timeout_seconds

    def __str__(self) -> str:
        return f"archive {self.name!r} ({self._remote_title} at {self._host}:{self._port})"

    @contextmanager
    def association(
        self,
        contexts: Sequence[PresentationContext],
        purpose: str,
        *,
        scp_classes: Sequence[str] = (),
        handlers: Handlers = (),
    ) -> Iterator[Association]:
        """Yield an open association; it is released at the end, or aborted after an exception.

        purpose: the service, for messages. scp_classes: SOP classes for which this host is the SCP (C-GET).
        Raises ArchiveUnavailable, ArchiveRefused.
        """
        sockets: list[socket.socket] = []
        try:
            association = self._associate(contexts, purpose, scp_classes, handlers, sockets)
            turnstile = Turnstile(association)
            try:
                if not association.is_established:
                    raise ArchiveUnavailable(f"{self} accepted the association and closed it at once")
                yield association
            except BaseException:  # a release would say that everything went well
                association.abort()
                raise
            else:
                association.release()
            finally:
                turnstile.open()
        finally:
            for each in sockets:  # pynetdicom leaves a socket open that did not connect, or whose peer is gone
                each.close()

    def status(self, answer: Dataset, request: str) -> int:
        """Return the status of an answer.

        Raises ArchiveUnavailable where the peer did not answer.
        """
        if "Status" not in answer:
            raise ArchiveUnavailable(f"{self} did not answer a {request}: connection lost, aborted or too slow")
        return int(answer.Status)

    def _associate(
        self,
        contexts: Sequence[PresentationContext],
        purpose: str,
        scp_classes: Sequence[str],
        handlers: Handlers,
        sockets: list[socket.socket],
    ) -> Association:
        """Return an open association; its sockets are added to ``sockets``."""
        tls = self._tls_context(sockets)
        try:
            association = self._entity.associate(
                self._host,
                self._port,
                contexts=list(contexts),
                ae_title=self._remote_title,
                max_pdu=ANNOUNCED_PDU_BYTES,
                ext_neg=[build_role(sop_class, scp_role=True) for sop_class in scp_classes],
                evt_handlers=[(evt.EVT_ACSE_SENT, _prepare, [sockets]), *handlers],
                tls_args=None if tls is None else (tls, self._host),
            )
        except socket.gaierror as fault:
            raise ArchiveUnavailable(f"{self}: host name not found ({fault.strerror})") from None
        if not association.is_established:
            raise self._explain(association, purpose, tls)
        return association

    def _tls_context(self, sockets: list[socket.socket]) -> RecordingContext | None:
        if self._tls is None:
            return None
        try:
            return recording_context(self._tls, sockets)
        except OSError as fault:  # ssl.SSLError is one
            reason, files = fault.strerror or fault, ", ".join(map(str, self._tls.paths))
            raise ArchiveRefused(f"{self}: {files} cannot be used for TLS: {reason}") from None

    def _explain(self, association: Association, purpose: str, tls: RecordingContext | None) -> ArchiveError:
        answer = association.acceptor.primitive
        if association.is_rejected and answer is not None and answer.result != _TRANSIENT_REJECTION:
            return ArchiveRefused(f"{self} rejects {self._entity.ae_title}: {answer.reason_str}")
        if association.is_rejected:
            return ArchiveUnavailable(f"{self} accepts no association now (too busy)")
        if association.rejected_contexts:
            return NotOffered(f"{self} offers no {purpose} ({len(association.rejected_contexts)} contexts rejected)")
        if tls is not None and tls.faults:
            return explain_fault(str(self), tls.faults[0])
        if tls is not None and tls.has_handshake:
            return ArchiveUnavailable(
                f"{self} closes connections after the TLS handshake; it may require another certificate"
            )
        return ArchiveUnavailable(f"{self} does not answer")


def listen(association: Association) -> None:
    """Let the archive send requests on this association; call it after the last request of this host."""
    turnstile = association._reactor_checkpoint
    if isinstance(turnstile, Turnstile):
        turnstile.open()


class Turnstile(threading.Event):
    """Stops the reactor thread of pynetdicom while this host sends requests.

    pynetdicom lets that thread run after each answer and stops it before the next request. On a busy machine the
    thread may wake late and drop the next answer; then the request would wait until its time limit.
    """

    def __init__(self, association: Association) -> None:
        """Return when the reactor has stopped."""
        super().__init__()
        self._reached = threading.Event()
        association._reactor_checkpoint = self
        while association.is_alive() and not self._reached.wait(0.05):
            pass

    def wait(self, timeout: float | None = None) -> bool:
        """Stop the reactor; the reactor calls this."""
        self._reached.set()
        return super().wait(timeout)

    def set(self) -> None:
        """Do nothing: pynetdicom calls this to let the reactor run after each answer."""

    def open(self) -> None:
        """Let the reactor run."""
        super().set()


def _prepare(event: evt.Event, sockets: list[socket.socket]) -> None:
    """Set the options of the socket before it connects, and add it to ``sockets``."""
    transport = event.assoc.dul.socket
    if not sockets and transport is not None and transport.socket is not None:
        transport.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sockets.append(transport.socket)
