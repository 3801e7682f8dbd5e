"""The receiver: takes what modalities and archives push and acknowledges it when it is durable."""

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

from orchestrator.archive.commitment.pending_reports import Owed
from orchestrator.archive.commitment.transactions import Commitments
from orchestrator.archive.protocol.negotiation import ANNOUNCED_PDU_BYTES, Proposal, Rejection, storage_classes
from orchestrator.archive.protocol.pdu import Abort, Pdu, PduConnection, ProtocolFault
from orchestrator.archive.receiver.admission import Admission, Certificate, Entity, Known
from orchestrator.archive.receiver.association import Association
from orchestrator.archive.receiver.commitment_reports import Reporter
from orchestrator.archive.receiver.credentials import Credentials
from orchestrator.archive.receiver.services import Offered
from orchestrator.archive.spool.arrival import Arrival, Closed
from orchestrator.archive.spool.spool import Spool
from orchestrator.domain.errors import SettingsError
from orchestrator.network.tls import reason_of

_NAMED_CLASSES = 1000
_log = logging.getLogger(__name__)


class Receiver:
    """A Storage, Verification and Storage Commitment SCP, a thread for each connection, none of them polling.

    It reads PDUs itself (pynetdicom's PDU classes do the negotiation): two 1 ms polling loops for each
    of pynetdicom's associations cost 15 % of a core for four idle peers, and its reader bounds no PDU.
    A TLS handshake runs in the connection's own thread, so that who falls silent in it holds up nobody.

    entities: the AE titles of this host, each with the calling AE titles that may send to it.
    senders: what else is known of some callers: their certificate, and where they take reports.
    accept: which objects are taken (see ``storage_classes``).
    port: of connections in the clear, None = none are taken; tls_port: of those under TLS, where ``tls`` is given.
    owed: what is kept of reports of storage commitment until their requesters have them; None = nothing is promised.
    promise: False = reports from before are still brought, and no further ones are promised.
    report_seconds: how long a report is tried (see ``Reporter``).
    commitments: where archives' reports go.
    maximum_pdu: the longest P-DATA-TF that senders are asked for, in bytes.
    association_seconds: how long a connection may take to ask for an association, and before that for a
        TLS handshake; it has a count of its own (maximum_waiting), and when that is full the longest silent one goes.
    idle_seconds: how long an association may be silent, and a PDU may take; scanners keep one open
        while they reconstruct.
    on_stored, on_closed: called in the connection's thread after the answer has left; what they raise
        is logged and changes nothing.
    """

    def __init__(
        self,
        spool: Spool,
        *,
        entities: Collection[Entity] = (Entity(),),
        senders: Collection[Known] = (),
        accept: Collection[str] = ("storage",),
        host: str = "127.0.0.1",
        port: int | None = 11112,
        tls: Credentials | None = None,
        tls_port: int = 2762,
        owed: Owed | None = None,
        promise: bool = True,
        report_seconds: float = 14 * 86_400.0,
        commitments: Commitments | None = None,
        on_stored: Callable[[Arrival], object],
        on_closed: Callable[[Closed], object],
        maximum_pdu: int = ANNOUNCED_PDU_BYTES,
        maximum_associations: int = 32,
        maximum_waiting: int = 64,
        association_seconds: float = 5.0,
        idle_seconds: float = 120.0,
    ) -> None:
        if not all(entity.allow for entity in entities) and not _is_loopback(host):
            raise SettingsError(
                f"the receiver would take images from anybody at {host}: "
                "name the calling AE titles in receiver.allow, or let it listen on 127.0.0.1"
            )
        self._spool = spool
        self._admission = Admission(entities, senders)
        self._takes = storage_classes(accept)
        self._refused: set[str] = set()
        self._reporter = None if owed is None else Reporter(spool, owed, senders, limit_seconds=report_seconds)
        self._services = Offered(spool, on_stored, promises=owed if promise else None, commitments=commitments)
        self._host = host
        self._ports = {False: port, True: tls_port if tls else None}  # by whether TLS is spoken there
        self._tls = tls
        self._on_closed = on_closed
        self._maximum_pdu = maximum_pdu
        self._maximum_associations = maximum_associations
        self._maximum_waiting = maximum_waiting
        self._association_seconds = association_seconds
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._waiting: dict[socket.socket, None] = {}  # in the order they came
        self._open: dict[socket.socket, Association] = {}
        self._threads: set[threading.Thread] = set()
        self._listeners: dict[bool, socket.socket] = {}  # as the ports
        self._stopped = False

    @property
    def port(self) -> int:
        """The port of connections in the clear; with port 0 the one that the system chose, 0 where there is none."""
        return self._ports[False] or 0

    @property
    def tls_port(self) -> int:
        """The port of connections under TLS; with port 0 the one that the system chose, 0 where there is none."""
        return self._ports[True] or 0

    def start(self) -> None:
        """Return when connections are taken; what an earlier process left half-received is gone.

        Raises OSError where an address is taken or not ours.
        """
        swept = self._spool.sweep()
        if swept:
            _log.info("%d half-received files of an earlier process are removed; nobody was told they arrived", swept)
        for secured, port in self._ports.items():
            if port is not None:
                self._listeners[secured] = _listen((self._host, port))
                self._ports[secured] = self._listeners[secured].getsockname()[1]
        if self._reporter is not None:  # an earlier process that still had the port might have brought them, too
            self._reporter.start()
        for secured, listener in self._listeners.items():
            name, told = "receiver-tls" if secured else "receiver", (listener, secured)
            threading.Thread(target=self._accept, args=told, name=name, daemon=True).start()

    def stop(self, limit_seconds: float = 10.0) -> None:
        """Return when all connections are closed; a message in flight is filed and answered first."""
        if self._stopped:
            return
        self._stopped = True
        for listener in self._listeners.values():
            _shut(listener)  # wakes accept
            listener.close()
        with self._lock:
            for connection in self._waiting:
                _shut(connection)
            for connection, association in self._open.items():
                if association.stop():
                    _shut(connection, socket.SHUT_RD)  # wakes its thread, which still says goodbye
        self._join(limit_seconds)
        if self._reporter is not None:
            self._reporter.close()

    def _count(self, calling: str) -> int:
        return sum(association.calling == calling for association in self._open.values())

    def _join(self, limit_seconds: float) -> None:
        deadline = time.monotonic() + limit_seconds
        with self._lock:
            threads = tuple(self._threads)
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        with self._lock:
            for connection in self._open:
                _shut(connection)
        for thread in threads:
            thread.join(1.0)

    def _accept(self, listener: socket.socket, secured: bool) -> None:
        while not self._stopped:
            try:
                connection = self._next(listener, secured)
            except OSError as fault:
                if not self._stopped:  # out of file descriptors, or a peer that is gone already
                    _log.warning("a connection could not be taken: %s", reason_of(fault))
                    time.sleep(0.1)
                continue
            self._admit(connection)

    def _next(self, listener: socket.socket, secured: bool) -> socket.socket:
        connection, _ = listener.accept()
        try:
            return self._tls.wrap(connection) if secured and self._tls is not None else connection
        except OSError:
            connection.close()
            raise

    def _admit(self, connection: socket.socket) -> None:
        thread = threading.Thread(target=self._serve, args=(connection,), name="association", daemon=True)
        with self._lock:
            if len(self._waiting) >= self._maximum_waiting:
                longest = next(iter(self._waiting))
                del self._waiting[longest]
                _shut(longest)
            self._waiting[connection] = None
            try:
                thread.start()
            except RuntimeError:  # the system has no more threads; the next peer may have better luck
                _log.warning("a connection could not be taken: no more threads")
                del self._waiting[connection]
                connection.close()
            else:
                self._threads.add(thread)

    def _serve(self, connection: socket.socket) -> None:
        """Run one connection in its own thread, from the first byte to the last."""
        stream = PduConnection(connection)
        try:
            association = self._negotiate(connection, stream)
            if association is not None:
                self._run(connection, stream, association)
        finally:
            with self._lock:
                self._waiting.pop(connection, None)
                self._open.pop(connection, None)
                self._threads.discard(threading.current_thread())
            connection.close()

    def _negotiate(self, connection: socket.socket, stream: PduConnection) -> Association | None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._shake_hands(connection)
            kind, pdu = stream.read(self._association_seconds)
            if kind is not Pdu.ASSOCIATE_RQ:
                raise ProtocolFault(Abort.UNEXPECTED_PDU, f"a PDU {kind.name} before an association")
            proposal = Proposal.decode(bytes(pdu))
            return self._decide(connection, stream, proposal)
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return None  # a probe of the port that went before its handshake ended
        except ssl.SSLError as fault:
            _log.warning("a TLS connection is refused: %s", reason_of(fault))
            return None
        except (EOFError, OSError):
            return None  # it never asked, or is gone
        except Exception as fault:  # noqa: BLE001  # pynetdicom raises anything at all on a malformed PDU
            reason = fault.abort if isinstance(fault, ProtocolFault) else Abort.INVALID_PARAMETER
            _log.warning("a connection that asked for no proper association is aborted: %s", type(fault).__name__)
            _farewell(stream, reason)
            return None

    def _shake_hands(self, connection: socket.socket) -> None:
        if isinstance(connection, ssl.SSLSocket):
            connection.settimeout(self._association_seconds)
            connection.do_handshake()

    def _decide(self, connection: socket.socket, stream: PduConnection, proposal: Proposal) -> Association | None:
        answer = proposal.answer(self._maximum_pdu, self._takes)
        association = Association(
            stream,
            answer.contexts,
            self._services,
            calling=proposal.calling,
            called=proposal.called,
            maximum_pdu=proposal.maximum_pdu,
            idle_seconds=self._idle_seconds,
        )
        refused = self._admission.rejection(proposal, Certificate.of(connection))
        refused = refused or self._register(connection, association)
        if refused is not None:
            rejection, why = refused
            _log.warning("an association of %s is rejected with %s: %s", proposal.calling, rejection.name, why)
            stream.write(rejection.encode(), self._association_seconds)
            return None
        self._name(proposal.calling, answer.refused)
        stream.write(answer.encoded, self._association_seconds)
        return association

    def _name(self, calling: str, refused: frozenset[str]) -> None:
        """Name each class that is not taken once, so that whoever reads the log can add it to the settings."""
        for sop_class in sorted(refused - self._refused)[: _NAMED_CLASSES - len(self._refused)]:
            self._refused.add(sop_class)
            _log.warning(
                "%s offers %s (%s), which is not taken: receiver.accept", calling, sop_class, UID(sop_class).name
            )

    def _register(self, connection: socket.socket, association: Association) -> tuple[Rejection, str] | None:
        with self._lock:
            if len(self._open) >= self._maximum_associations:
                return Rejection.LOCAL_LIMIT_EXCEEDED, f"{self._maximum_associations} are open"
            self._waiting.pop(connection, None)
            self._open[connection] = association
            if self._stopped:
                association.stop()
        return None

    def _run(self, connection: socket.socket, stream: PduConnection, association: Association) -> None:
        released = False
        try:
            released = association.serve()
        except (EOFError, OSError) as fault:
            _log.info("the association %s of %s ended: %s", association.id, association.calling, type(fault).__name__)
        except ProtocolFault as fault:
            _log.warning("the association %s of %s is aborted: %s", association.id, association.calling, fault)
            _farewell(stream, fault.abort)
        finally:
            if association.stopping and not released:
                _farewell(stream, Abort.NOT_SPECIFIED)
            with self._lock:
                self._open.pop(connection, None)
                others_open = self._count(association.calling)
            self._tell_closed(association, released, others_open)
            if self._reporter is not None:
                self._reporter.closed(association.id)

    def _tell_closed(self, association: Association, released: bool, others_open: int) -> None:
        closed = Closed(
            association=association.id,
            released=released,
            calling=association.calling,
            called=association.called,
            others_open=others_open,
        )
        try:
            self._on_closed(closed)
        except Exception:  # noqa: BLE001  # an observer's fault must not cost the receiver a thread
            _log.exception("the observer of associations failed on %s", association.id)


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
        socket.socket.shutdown(connection, how)  # that of an SSLSocket would have its thread go on in the clear


def _farewell(stream: PduConnection, reason: Abort) -> None:
    with suppress(OSError):
        stream.write(reason.encode(), 1.0)
