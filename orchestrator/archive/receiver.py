"""The receiver: takes what modalities and archives push and acknowledges it when it is durable."""

from __future__ import annotations

import ipaddress
import logging
import socket
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress

from orchestrator.archive.arrival import Arrival, Closed
from orchestrator.archive.association import Association
from orchestrator.archive.negotiation import ANNOUNCED_PDU_BYTES, Proposal, Rejection
from orchestrator.archive.pdu import Abort, Pdu, PduConnection, ProtocolFault
from orchestrator.archive.spool import Spool
from orchestrator.domain.errors import SettingsError

_log = logging.getLogger(__name__)


class Receiver:
    """A Storage and Verification SCP on one port, a thread for each connection, none of them polling.

    It reads PDUs itself (pynetdicom's PDU classes do the negotiation): two 1 ms polling loops for each
    of pynetdicom's associations cost 15 % of a core for four idle peers, and its reader bounds no PDU.

    allow: calling AE titles that may associate; empty = any, on a loopback address only.
    maximum_pdu: the longest P-DATA-TF that senders are asked for, in bytes.
    association_seconds: how long a connection may take to ask for an association; it has a count
        of its own (maximum_waiting), and when that is full the longest silent one goes.
    idle_seconds: how long an association may be silent, and a PDU may take; scanners keep one open
        while they reconstruct.
    on_stored, on_closed: called in the connection's thread after the answer has left; what they raise
        is logged and changes nothing.
    """

    def __init__(
        self,
        spool: Spool,
        *,
        ae_title: str = "ORCHESTRATOR",
        host: str = "127.0.0.1",
        port: int = 11112,
        allow: Collection[str] = (),
        on_stored: Callable[[Arrival], object],
        on_closed: Callable[[Closed], object],
        maximum_pdu: int = ANNOUNCED_PDU_BYTES,
        maximum_associations: int = 32,
        maximum_waiting: int = 64,
        association_seconds: float = 5.0,
        idle_seconds: float = 120.0,
    ) -> None:
        if not allow and not _is_loopback(host):
            raise SettingsError(
                f"the receiver would take images from anybody at {host}: "
                "name the calling AE titles in receiver.allow, or let it listen on 127.0.0.1"
            )
        self._spool = spool
        self._ae_title = ae_title
        self._address = (host, port)
        self._allow = frozenset(allow)
        self._on_stored = on_stored
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
        self._listener: socket.socket | None = None

    @property
    def port(self) -> int:
        """The port it listens on; with port 0 the one that the system chose."""
        return self._address[1]

    def start(self) -> None:
        """Return when connections are taken; what an earlier process left half-received is gone.

        Raises OSError where the address is taken or not ours.
        """
        swept = self._spool.sweep()
        if swept:
            _log.info("%d half-received files of an earlier process are removed; nobody was told they arrived", swept)
        self._listener = _listen(self._address)
        self._address = self._listener.getsockname()[:2]
        threading.Thread(target=self._accept, args=(self._listener,), name="receiver", daemon=True).start()

    def stop(self, limit_seconds: float = 10.0) -> None:
        """Return when all connections are closed; a message in flight is filed and answered first."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        _shut(listener)  # wakes accept
        listener.close()
        with self._lock:
            for connection in self._waiting:
                _shut(connection)
            for connection, association in self._open.items():
                if association.stop():
                    _shut(connection, socket.SHUT_RD)  # wakes its thread, which still says goodbye
        self._join(limit_seconds)

    def open_associations(self, calling: str) -> int:
        """Return how many associations that AE title has open now."""
        with self._lock:
            return self._count(calling)

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

    def _accept(self, listener: socket.socket) -> None:
        while self._listener is listener:
            try:
                connection, _ = listener.accept()
            except OSError as fault:
                if self._listener is listener:  # out of file descriptors, or a peer that is gone already
                    _log.warning("a connection could not be taken: %s", fault.strerror)
                    time.sleep(0.1)
                continue
            self._admit(connection)

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
            kind, pdu = stream.read(self._association_seconds)
            if kind is not Pdu.ASSOCIATE_RQ:
                raise ProtocolFault(Abort.UNEXPECTED_PDU, f"a PDU {kind.name} before an association")
            proposal = Proposal.decode(bytes(pdu))
            return self._decide(connection, stream, proposal)
        except (EOFError, OSError):
            return None  # it never asked, or is gone
        except Exception as fault:  # noqa: BLE001  # pynetdicom raises anything at all on a malformed PDU
            reason = fault.abort if isinstance(fault, ProtocolFault) else Abort.INVALID_PARAMETER
            _log.warning("a connection that asked for no proper association is aborted: %s", type(fault).__name__)
            _farewell(stream, reason)
            return None

    def _decide(self, connection: socket.socket, stream: PduConnection, proposal: Proposal) -> Association | None:
        answer, contexts = proposal.answer(self._maximum_pdu)
        association = Association(
            stream,
            contexts,
            self._spool,
            calling=proposal.calling,
            called=proposal.called,
            maximum_pdu=proposal.maximum_pdu,
            idle_seconds=self._idle_seconds,
            on_stored=self._on_stored,
        )
        rejection = self._rejection(proposal) or self._register(connection, association)
        if rejection is not None:
            _log.warning("an association of %s is rejected: %s", proposal.calling, rejection.name)
            stream.write(rejection.encode(), self._association_seconds)
            return None
        stream.write(answer, self._association_seconds)
        return association

    def _rejection(self, proposal: Proposal) -> Rejection | None:
        if proposal.called != self._ae_title:
            return Rejection.CALLED_NOT_RECOGNIZED
        if self._allow and proposal.calling not in self._allow:
            return Rejection.CALLING_NOT_RECOGNIZED
        return None

    def _register(self, connection: socket.socket, association: Association) -> Rejection | None:
        with self._lock:
            if len(self._open) >= self._maximum_associations:
                return Rejection.LOCAL_LIMIT_EXCEEDED
            self._waiting.pop(connection, None)
            self._open[connection] = association
            if self._listener is None:
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
        connection.shutdown(how)


def _farewell(stream: PduConnection, reason: Abort) -> None:
    with suppress(OSError):
        stream.write(reason.encode(), 1.0)
