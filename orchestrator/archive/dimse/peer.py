"""An application entity that we call: one association at a time, its faults by their names."""

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

from orchestrator.archive.dimse.tls import NotingContext, named, noting_context
from orchestrator.archive.protocol.dataset import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION
from orchestrator.archive.protocol.negotiation import ANNOUNCED_PDU_BYTES
from orchestrator.domain.errors import ArchiveError, ArchiveRefused, ArchiveUnavailable
from orchestrator.network.tls import TlsFiles

_config.STORE_SEND_CHUNKED_DATASET = True  # a file's bytes go out as they are, never decoded and encoded again
_config.LOG_HANDLER_LEVEL = "none"  # the standard lines quote identifiers, that is patients
_config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False
logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)  # what matters of its lines is in our errors

SUCCESS, PENDING, CANCELLED = 0x0000, (0xFF00, 0xFF01), 0xFE00
MAXIMUM_CONTEXTS = 128
"""Presentation contexts of one association (PS3.8 9.3.2.2: odd IDs of one byte)."""
Handlers = Sequence[tuple[evt.EventType, Callable[..., Any]]]

_TRANSIENT_REJECTION = 0x02


class NotOffered(ArchiveRefused):
    """The archive answers, and does not offer the service at all."""


class Peer:
    """The archive of that AE title on a host and port."""

    def __init__(
        self,
        name: str,
        called: str,
        host: str,
        port: int,
        *,
        ae_title: str,
        timeout_seconds: float,
        tls: TlsFiles | None = None,
    ) -> None:
        self.name = name
        self.timeout_seconds = timeout_seconds
        self._called = called
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
        return f"archive {self.name!r} ({self._called} at {self._host}:{self._port})"

    @contextmanager
    def association(
        self,
        contexts: Sequence[PresentationContext],
        purpose: str,
        *,
        provided: Sequence[str] = (),
        handlers: Handlers = (),
    ) -> Iterator[Association]:
        """Yield an open association; released at the end, aborted where something went wrong.

        purpose: what the messages call it. provided: SOP classes that we are the provider of on it (C-GET).
        Raises ArchiveUnavailable, ArchiveRefused.
        """
        sockets: list[socket.socket] = []
        try:
            association = self._associate(contexts, purpose, provided, handlers, sockets)
            turnstile = Turnstile(association)
            try:
                if not association.is_established:
                    raise ArchiveUnavailable(f"{self} took the association and ended it at once")
                yield association
            except BaseException:  # whatever it was, no half-used association may be released as if all went well
                association.abort()
                raise
            else:
                association.release()
            finally:
                turnstile.open()
        finally:
            for opened in sockets:  # pynetdicom leaves some open: one that did not connect, one whose peer is gone
                opened.close()

    def status(self, answer: Dataset, request: str) -> int:
        """Return the status of an answer.

        Raises ArchiveUnavailable where there was none.
        """
        if "Status" not in answer:
            raise ArchiveUnavailable(f"{self} did not answer a {request}: the connection was lost, aborted or too slow")
        return int(answer.Status)

    def _associate(
        self,
        contexts: Sequence[PresentationContext],
        purpose: str,
        provided: Sequence[str],
        handlers: Handlers,
        sockets: list[socket.socket],
    ) -> Association:
        """Return an open association; ``sockets`` takes those that were opened for it."""
        tls = self._tls_context(sockets)
        try:
            association = self._entity.associate(
                self._host,
                self._port,
                contexts=list(contexts),
                ae_title=self._called,
                max_pdu=ANNOUNCED_PDU_BYTES,
                ext_neg=[build_role(sop_class, scp_role=True) for sop_class in provided],
                evt_handlers=[(evt.EVT_ACSE_SENT, _prepare, [sockets]), *handlers],
                tls_args=None if tls is None else (tls, self._host),
            )
        except socket.gaierror as fault:
            raise ArchiveUnavailable(f"{self}: the host's name is not found ({fault.strerror})") from None
        if not association.is_established:
            raise self._not_established(association, purpose, tls)
        return association

    def _tls_context(self, sockets: list[socket.socket]) -> NotingContext | None:
        if self._tls is None:
            return None
        try:
            return noting_context(self._tls, sockets)
        except OSError as fault:  # ssl.SSLError is one
            reason, files = fault.strerror or fault, ", ".join(map(str, self._tls.named))
            raise ArchiveRefused(f"{self}: {files} cannot be used for TLS: {reason}") from None

    def _not_established(self, association: Association, purpose: str, tls: NotingContext | None) -> ArchiveError:
        answer = association.acceptor.primitive
        if association.is_rejected and answer is not None and answer.result != _TRANSIENT_REJECTION:
            return ArchiveRefused(f"{self} rejects {self._entity.ae_title}: {answer.reason_str}")
        if association.is_rejected:
            return ArchiveUnavailable(f"{self} takes no association now")
        if association.rejected_contexts:
            return NotOffered(f"{self} offers no {purpose} for any of {len(association.rejected_contexts)} kinds")
        if tls is not None and tls.faults:
            return named(str(self), tls.faults[0])
        if tls is not None and tls.shaken:
            return ArchiveUnavailable(
                f"{self} ends connections after the TLS handshake: it may want another certificate"
            )
        return ArchiveUnavailable(f"{self} does not answer")


def listen(association: Association) -> None:
    """Let requests of the archive in on our association, when nothing more is asked on it."""
    turnstile = association._reactor_checkpoint
    if isinstance(turnstile, Turnstile):
        turnstile.open()


class Turnstile(threading.Event):
    """Keeps pynetdicom's reactor out while we ask.

    pynetdicom lets that thread run after each answer and stops it before the next request; when it wakes late,
    on a busy machine, it takes the next answer for itself and drops it, and we wait until the time is up.
    """

    def __init__(self, association: Association) -> None:
        """Return when the reactor stands still."""
        super().__init__()
        self._reached = threading.Event()
        association._reactor_checkpoint = self
        while association.is_alive() and not self._reached.wait(0.05):
            pass

    def wait(self, timeout: float | None = None) -> bool:
        """Stop the reactor, whose call this is."""
        self._reached.set()
        return super().wait(timeout)

    def set(self) -> None:
        """Stay as it is: so pynetdicom lets the reactor run after each answer."""

    def open(self) -> None:
        """Let the reactor run."""
        super().set()


def _prepare(event: evt.Event, sockets: list[socket.socket]) -> None:
    """Set the socket up before it connects, and keep it."""
    transport = event.assoc.dul.socket
    if not sockets and transport is not None and transport.socket is not None:
        transport.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sockets.append(transport.socket)
