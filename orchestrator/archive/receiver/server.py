"""The receiver: accepts images that modalities and archives push, and acknowledges them when they are durable."""

from __future__ import annotations

import ipaddress
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress

from pydicom.uid import UID

from orchestrator.archive.commitment.pending_reports import PendingReports
from orchestrator.archive.commitment.transactions import Commitments
from orchestrator.archive.protocol.negotiation import (
    ANNOUNCED_PDU_BYTES,
    InvalidRequest,
    Proposal,
    Rejection,
    storage_classes,
)
from orchestrator.archive.protocol.pdu import Abort, Pdu, PduConnection, ProtocolFault
from orchestrator.archive.receiver.admission import Admission, Certificate, Entity, KnownSender
from orchestrator.archive.receiver.association import Association
from orchestrator.archive.receiver.commitment_reports import Reporter
from orchestrator.archive.receiver.connections import Connections
from orchestrator.archive.receiver.credentials import Credentials
from orchestrator.archive.receiver.services import ReceiverServices
from orchestrator.archive.spool.arrival import Arrival, Closed
from orchestrator.archive.spool.spool import Spool
from orchestrator.domain.errors import SettingsError
from orchestrator.network.tls import reason_of

_LOGGED_CLASSES = 1000
_log = logging.getLogger(__name__)


class Receiver:
    """A Storage, Verification and Storage Commitment SCP with one thread for each connection.

    It reads PDUs itself; pynetdicom's PDU classes do only the negotiation. Each association of pynetdicom has two
    1 ms polling loops, which cost 15 % of a core for four idle peers, and its reader does not limit the PDU size.
    The TLS handshake runs in the connection's own thread, so a silent peer does not delay others.

    entities: the AE titles of this host, each with the calling AE titles that may send to it.
    senders: certificates of callers, and the addresses where they receive reports.
    accept: which objects are accepted (see ``storage_classes``).
    port: for connections without TLS, None = none. tls_port: for connections with TLS, where ``tls`` is given.
    pending_reports: storage commitment reports that are not delivered yet; None = no storage commitment at all.
    commitment: False = pending reports are delivered, and new requests are refused.
    report_seconds: how long a report is retried (see ``Reporter``).
    commitments: stores the results that archives report.
    maximum_pdu: the longest P-DATA-TF that this host announces, in bytes.
    association_seconds: limit for the TLS handshake, and for the association request after it.
    maximum_associations, maximum_per_sender, maximum_waiting: see ``Connections``.
    idle_seconds: limit for silence on an association, and for each PDU; scanners keep an association open
        while they reconstruct.
    on_stored, on_closed: called in the connection's thread after the answer was sent; their exceptions are logged.
    """

    def __init__(
        self,
        spool: Spool,
        *,
        entities: Collection[Entity] = (Entity(),),
        senders: Collection[KnownSender] = (),
        accept: Collection[str] = ("storage",),
        host: str = "127.0.0.1",
        port: int | None = 11112,
        tls: Credentials | None = None,
        tls_port: int = 2762,
        pending_reports: PendingReports | None = None,
        commitment: bool = True,
        report_seconds: float = 14 * 86_400.0,
        commitments: Commitments | None = None,
        on_stored: Callable[[Arrival], object],
        on_closed: Callable[[Closed], object],
        maximum_pdu: int = ANNOUNCED_PDU_BYTES,
        maximum_associations: int = 32,
        maximum_per_sender: int = 16,
        maximum_waiting: int = 64,
        association_seconds: float = 5.0,
        idle_seconds: float = 120.0,
    ) -> None:
        if not all(entity.allow for entity in entities) and not _is_loopback(host):
            raise SettingsError(
                f"the receiver at {host} would accept images from any sender: "
                "list the calling AE titles in receiver.allow, or set receiver.host to 127.0.0.1"
            )
        self._spool = spool
        self._admission = Admission(entities, senders)
        self._accepts = storage_classes(accept)
        self._rejected_classes: set[str] = set()
        self._reporter = (
            None if pending_reports is None else Reporter(spool, pending_reports, senders, limit_seconds=report_seconds)
        )
        self._services = ReceiverServices(
            spool, on_stored, pending_reports=pending_reports if commitment else None, commitments=commitments
        )
        self._host = host
        self._ports = {False: port, True: tls_port if tls else None}  # key: whether the port has TLS
        self._tls = tls
        self._on_closed = on_closed
        self._maximum_pdu = maximum_pdu
        self._connections = Connections(
            maximum_associations=maximum_associations,
            maximum_per_sender=maximum_per_sender,
            maximum_waiting=maximum_waiting,
            close=_shut,
        )
        self._association_seconds = association_seconds
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._listeners: dict[bool, socket.socket] = {}  # as the ports
        self._stopped = False

    @property
    def port(self) -> int:
        """The port without TLS, as the system chose it where the settings say 0; 0 where there is none."""
        return self._ports[False] or 0

    @property
    def tls_port(self) -> int:
        """The port with TLS, as the system chose it where the settings say 0; 0 where there is none."""
        return self._ports[True] or 0

    def start(self) -> None:
        """Remove incomplete files of an earlier process, then listen for connections.

        Raises OSError where an address is in use or not an address of this host.
        """
        count = self._spool.sweep()
        if count:
            _log.info("incomplete files of an earlier process removed from the spool: %d (never acknowledged)", count)
        for has_tls, port in self._ports.items():
            if port is not None:
                self._listeners[has_tls] = _listen((self._host, port))
                self._ports[has_tls] = self._listeners[has_tls].getsockname()[1]
        if self._reporter is not None:  # after the port is bound: an earlier process could send the same reports
            self._reporter.start()
        for has_tls, listener in self._listeners.items():
            name = "receiver-tls" if has_tls else "receiver"
            threading.Thread(target=self._accept, args=(listener, has_tls), name=name, daemon=True).start()

    def stop(self, limit_seconds: float = 10.0) -> None:
        """Close all connections; a message that is arriving is stored and answered first."""
        if self._stopped:
            return
        self._stopped = True
        for listener in self._listeners.values():
            _shut(listener)  # wakes accept
            listener.close()
        for connection in self._connections.waiting():
            _shut(connection)
        for connection, association in self._connections.associations():
            if association.stop():
                _shut(connection, socket.SHUT_RD)  # wakes its thread, which then sends the A-ABORT
        self._join(limit_seconds)
        if self._reporter is not None:
            self._reporter.close()

    def _join(self, limit_seconds: float) -> None:
        deadline = time.monotonic() + limit_seconds
        with self._lock:
            threads = tuple(self._threads)
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        for connection, _ in self._connections.associations():
            _shut(connection)
        for thread in threads:
            thread.join(1.0)

    def _accept(self, listener: socket.socket, has_tls: bool) -> None:
        while not self._stopped:
            try:
                connection, peer = self._next(listener, has_tls)
            except OSError as fault:
                if not self._stopped:  # no more file descriptors, or the peer has closed the connection
                    place = f"{self._host} port {self._ports[has_tls]}"
                    _log.warning("connection to %s not accepted: %s; still listening", place, reason_of(fault))
                    time.sleep(0.1)
                continue
            self._admit(connection, peer)

    def _next(self, listener: socket.socket, has_tls: bool) -> tuple[socket.socket, str]:
        """Return the next connection, and the IP address of its peer."""
        connection, (peer, *_) = listener.accept()
        try:
            return self._tls.wrap(connection) if has_tls and self._tls is not None else connection, peer
        except OSError:
            connection.close()
            raise

    def _admit(self, connection: socket.socket, peer: str) -> None:
        thread = threading.Thread(target=self._serve, args=(connection, peer), name="association", daemon=True)
        self._connections.wait(connection, peer)
        with self._lock:
            try:
                thread.start()
            except RuntimeError:  # a later connection may succeed
                _log.warning("connection from %s closed: the system has no more threads; still listening", peer)
                self._connections.end(connection)
                connection.close()
            else:
                self._threads.add(thread)

    def _serve(self, connection: socket.socket, peer: str) -> None:
        """Run one connection in its own thread, from the first byte to the last."""
        stream = PduConnection(connection)
        try:
            association = self._negotiate(connection, stream, peer)
            if association is not None:
                self._run(connection, stream, association)
        finally:
            self._connections.end(connection)
            with self._lock:
                self._threads.discard(threading.current_thread())
            connection.close()

    def _negotiate(self, connection: socket.socket, stream: PduConnection, peer: str) -> Association | None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._shake_hands(connection)
            kind, pdu = stream.read(self._association_seconds)
            if kind is not Pdu.ASSOCIATE_RQ:
                raise ProtocolFault(Abort.UNEXPECTED_PDU, f"unexpected PDU {kind.name} before an association request")
            proposal = Proposal.decode(bytes(pdu))
            return self._decide(connection, stream, proposal, peer)
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return None  # a port probe that ended before the handshake
        except ssl.SSLError as fault:
            _log.warning("TLS connection from %s refused: %s", peer, reason_of(fault))
        except (EOFError, OSError):
            return None  # the peer sent no request, or is gone
        except InvalidRequest as fault:
            sender = f"{fault.calling} at {peer}" if fault.calling else peer
            _log.warning("association from %s aborted: invalid request (%s)", sender, fault)
            _abort(stream, fault.abort)
        except ProtocolFault as fault:
            _log.warning("connection from %s aborted: %s", peer, fault)
            _abort(stream, fault.abort)
        except Exception as fault:  # noqa: BLE001  # pynetdicom raises anything at all on a malformed PDU
            _log.warning("association from %s aborted: invalid request (%s)", peer, type(fault).__name__)
            _abort(stream, Abort.INVALID_PARAMETER)
        return None

    def _shake_hands(self, connection: socket.socket) -> None:
        if isinstance(connection, ssl.SSLSocket):
            connection.settimeout(self._association_seconds)
            connection.do_handshake()

    def _decide(
        self, connection: socket.socket, stream: PduConnection, proposal: Proposal, peer: str
    ) -> Association | None:
        answer = proposal.answer(self._maximum_pdu, self._accepts)
        association = Association(
            stream,
            answer.contexts,
            self._services,
            calling=proposal.calling,
            called=proposal.called,
            address=peer,
            maximum_pdu=proposal.maximum_pdu,
            idle_seconds=self._idle_seconds,
        )
        rejection = self._admission.rejection(proposal, Certificate.of(connection))
        rejection = rejection or self._register(connection, association)
        if rejection is not None:
            code, reason = rejection
            _log.warning("association from %s rejected with %s: %s", association.sender, code.name, reason)
            stream.write(code.encode(), self._association_seconds)
            return None
        self._log_rejected(association, answer.rejected_classes)
        stream.write(answer.pdu, self._association_seconds)
        return association

    def _log_rejected(self, association: Association, sop_classes: frozenset[str]) -> None:
        """Log each rejected SOP class once, so that an administrator can add it to the settings."""
        for sop_class in sorted(sop_classes - self._rejected_classes)[: _LOGGED_CLASSES - len(self._rejected_classes)]:
            self._rejected_classes.add(sop_class)
            name = UID(sop_class).name
            _log.warning(
                "SOP class %s (%s) from %s rejected; to accept it, add it to receiver.accept",
                sop_class,
                name,
                association.sender,
            )

    def _register(self, connection: socket.socket, association: Association) -> tuple[Rejection, str] | None:
        rejection = self._connections.open(connection, association)
        if rejection is None and self._stopped:
            association.stop()
        return rejection

    def _run(self, connection: socket.socket, stream: PduConnection, association: Association) -> None:
        released = False
        try:
            released = association.serve()
        except (EOFError, OSError) as fault:
            _log.info("association from %s ended without release: %s", association.sender, type(fault).__name__)
        except ProtocolFault as fault:
            _log.warning("association from %s aborted: %s", association.sender, fault)
            _abort(stream, fault.abort)
        finally:
            if association.stopping and not released:
                _abort(stream, Abort.NOT_SPECIFIED)
            self._connections.end(connection)
            self._notify_closed(association, released, self._connections.count(association.calling))
            if self._reporter is not None:
                self._reporter.end_association(association.id)

    def _notify_closed(self, association: Association, released: bool, others_open: int) -> None:
        notification = Closed(
            association=association.id,
            released=released,
            calling=association.calling,
            called=association.called,
            others_open=others_open,
        )
        try:
            self._on_closed(notification)
        except Exception:  # noqa: BLE001  # the fault must not end the thread of the connection
            _log.exception("notification of the end of the association from %s failed", association.sender)


def _listen(address: tuple[str, int]) -> socket.socket:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    return socket.create_server(address, family=family, backlog=128)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def _shut(connection: socket.socket, how: int = socket.SHUT_RDWR) -> None:
    with suppress(OSError):
        socket.socket.shutdown(connection, how)  # shutdown of an SSLSocket would let its thread go on without TLS


def _abort(stream: PduConnection, reason: Abort) -> None:
    with suppress(OSError):
        stream.write(reason.encode(), 1.0)
