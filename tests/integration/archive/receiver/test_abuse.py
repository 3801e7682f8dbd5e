"""The receiver against what is no DICOM peer, or a bad one, on a raw socket."""

import resource
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from pynetdicom import build_context
from pynetdicom.dsutils import encode as encode_dataset
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
)

from orchestrator.archive.protocol.command import Element, encode
from tests.data.objects import instance
from tests.integration.archive.conftest import Station, wait_until
from tests.parts.archive.dcmtk import echoscu

CT = "1.2.840.10008.5.1.4.1.1.2"
ACCEPT, REJECT, P_DATA, ABORT = 2, 3, 4, 7
Start = Callable[..., Station]


def association_request(calling: str = "CT1") -> bytes:
    request = A_ASSOCIATE()
    request.application_context_name = "1.2.840.10008.3.1.1.1"
    request.calling_ae_title, request.called_ae_title = calling, "ORCHESTRATOR"
    context = build_context(CT)
    context.context_id = 1
    request.presentation_context_definition_list = [context]
    maximum, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    maximum.maximum_length_received, implementation.implementation_class_uid = 16384, "1.2.3"
    request.user_information = [maximum, implementation]
    return bytes(A_ASSOCIATE_RQ(request).encode())


def pdu(kind: int, content: bytes, length: int | None = None) -> bytes:
    return struct.pack(">BxI", kind, len(content) if length is None else length) + content


def value(content: bytes, *, control: int, context: int = 1) -> bytes:
    return struct.pack(">IBB", len(content) + 2, context, control) + content


def store_command(sop_uid: str = "1.2.3", data_set: int = 0) -> bytes:
    return encode(
        {
            Element.AFFECTED_SOP_CLASS_UID: CT,
            Element.COMMAND_FIELD: 1,
            Element.MESSAGE_ID: 1,
            Element.COMMAND_DATA_SET_TYPE: data_set,
            Element.AFFECTED_SOP_INSTANCE_UID: sop_uid,
        }
    )


def answer(peer: socket.socket) -> int:
    """Return the type of the next PDU, 0 when the connection was closed without one."""
    try:
        header = peer.recv(6, socket.MSG_WAITALL)
        if len(header) < 6:
            return 0
        peer.recv(int.from_bytes(header[2:], "big"), socket.MSG_WAITALL)
        return header[0]
    except ConnectionResetError:
        return 0


@pytest.fixture
def peer(station: Station) -> Iterator[socket.socket]:
    """Yield a raw connection to the receiver."""
    with socket.create_connection(("127.0.0.1", station.port), 60.0) as connection:
        yield connection


@pytest.fixture
def associated(peer: socket.socket) -> socket.socket:
    """Return a raw connection with an association."""
    peer.sendall(association_request())
    assert answer(peer) == ACCEPT
    return peer


@pytest.mark.parametrize(
    ("place", "sender", "title"),
    [(10, "CT1 at 127.0.0.1", "called"), (26, "127.0.0.1", "calling")],
)
def test_the_log_names_who_sent_an_invalid_request(
    station: Station, peer: socket.socket, caplog: pytest.LogCaptureFixture, place: int, sender: str, title: str
) -> None:
    request = bytearray(association_request())
    request[place + 1] = 0
    peer.sendall(request)
    assert answer(peer) == ABORT
    line = f"association from {sender} aborted: invalid request ({title} AE title has NUL bytes)"
    wait_until(lambda: line in caplog.text)
    assert is_alive(station)


def test_the_log_names_who_violates_the_protocol(
    station: Station, associated: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    associated.sendall(pdu(P_DATA, value(b"x", control=0)))
    assert answer(associated) == ABORT
    line = "association from CT1 at 127.0.0.1 aborted: data set arrived before its command set"
    wait_until(lambda: line in caplog.text)
    assert is_alive(station)


def is_alive(station: Station) -> bool:
    return echoscu(station.port).returncode == 0


def test_twenty_silent_clients_hold_up_no_echo(start: Start) -> None:
    station = start(maximum_associations=10, association_seconds=600)
    with ExitStack() as silent:
        for _ in range(20):
            silent.enter_context(socket.create_connection(("127.0.0.1", station.port)))
        assert is_alive(station)


def test_more_silent_clients_than_may_wait_push_each_other_out(start: Start) -> None:
    station = start(maximum_waiting=5)
    with ExitStack() as silent:
        clients = [silent.enter_context(socket.create_connection(("127.0.0.1", station.port), 60.0)) for _ in range(30)]
        assert is_alive(station)
        assert answer(clients[0]) == 0


def associated_clients(stack: ExitStack, port: int, clients: list[tuple[str, str]]) -> list[int]:
    """Open an association for each calling AE title and address; return the types of the answers."""
    answers = []
    for calling, address in clients:
        peer = socket.create_connection(("127.0.0.1", port), 60.0, source_address=(address, 0))
        stack.enter_context(peer)
        peer.sendall(association_request(calling))
        answers.append(answer(peer))
    return answers


@pytest.mark.parametrize(
    ("clients", "culprit"),
    [
        ([("CT1", f"127.0.0.{number}") for number in range(10, 16)], "CT1"),
        ([(f"CT{number}", "127.0.0.10") for number in range(6)], "127.0.0.10"),
    ],
)
def test_idle_associations_of_one_sender_leave_places_to_others(
    start: Start, caplog: pytest.LogCaptureFixture, clients: list[tuple[str, str]], culprit: str
) -> None:
    station = start(maximum_associations=6, maximum_per_sender=4)
    with ExitStack() as idle:
        assert associated_clients(idle, station.port, clients) == [ACCEPT] * 4 + [REJECT] * 2
        assert f"limit of open associations of {culprit} reached (receiver.maximum_per_sender = 4)" in caplog.text
        assert is_alive(station)


def test_silent_connections_of_one_address_close_each_other_first(start: Start) -> None:
    station = start(maximum_waiting=5, association_seconds=600)
    with ExitStack() as silent:
        modality = silent.enter_context(socket.create_connection(("127.0.0.1", station.port), 60.0))
        flood = [
            socket.create_connection(("127.0.0.1", station.port), 60.0, source_address=("127.0.0.10", 0))
            for _ in range(12)
        ]
        for each in flood:
            silent.enter_context(each)
        assert answer(flood[0]) == 0
        modality.sendall(association_request())
        assert answer(modality) == ACCEPT


@pytest.mark.parametrize("beginning", [b"", b"\1", association_request()[:40]])
def test_who_never_asks_for_an_association_is_let_go(start: Start, beginning: bytes) -> None:
    station = start(association_seconds=0.2)
    with socket.create_connection(("127.0.0.1", station.port), 60.0) as peer:
        peer.sendall(beginning)
        assert answer(peer) == 0


def test_who_falls_silent_within_an_association_is_let_go(start: Start) -> None:
    station = start(idle_seconds=0.2)
    with socket.create_connection(("127.0.0.1", station.port), 60.0) as peer:
        peer.sendall(association_request())
        assert answer(peer) == ACCEPT
        assert answer(peer) == 0
    wait_until(lambda: [closed.released for closed in station.closed] == [False])


@pytest.mark.parametrize("kind", [1, 4])
def test_a_pdu_that_announces_four_gigabytes_takes_no_memory(station: Station, peer: socket.socket, kind: int) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peer.sendall(pdu(kind, bytes(1000), length=0xFFFFFFFF))
    assert answer(peer) in (0, ABORT)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB
    assert is_alive(station)


@pytest.mark.parametrize(
    "noise",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        pdu(4, b"data before an association"),
        pdu(5, bytes(4)),
        pdu(1, b""),
        pdu(1, b"\xff" * 200),
        association_request()[:6] + b"\xff" * (len(association_request()) - 6),
    ],
)
def test_who_does_not_ask_properly_is_aborted(station: Station, peer: socket.socket, noise: bytes) -> None:
    peer.sendall(noise)
    assert answer(peer) in (0, ABORT)
    assert is_alive(station)
    assert len(station.closed) <= 1


@pytest.mark.parametrize(
    "message",
    [
        pdu(4, value(b"", control=3)[:5]),
        pdu(4, value(store_command(), control=3, context=3)),
        pdu(4, value(b"data first", control=2)),
        pdu(4, value(store_command()[:20], control=3)),
        pdu(4, value(b"\xff" * 40, control=3)),
        pdu(4, value(bytes(70_000), control=1)),
        pdu(4, value(store_command(), control=3) + value(store_command(), control=3)),
        pdu(4, struct.pack(">IBB", 0xFFFFFFFF, 1, 0)),
        association_request(),
        pdu(2, bytes(100)),
    ],
)
def test_a_malformed_message_ends_the_association_and_nothing_else(
    station: Station, associated: socket.socket, message: bytes
) -> None:
    associated.sendall(message)
    assert answer(associated) in (0, ABORT)
    wait_until(lambda: len(station.closed) == 1)
    assert is_alive(station)
    assert list(station.spool.incoming.iterdir()) == []


def test_a_message_in_flight_is_filed_and_answered_before_the_receiver_stops(
    station: Station, associated: socket.socket
) -> None:
    dataset = instance()
    content = encode_dataset(dataset, True, True)
    assert content is not None
    associated.sendall(pdu(4, value(store_command(dataset.SOPInstanceUID), control=3) + value(content[:50], control=0)))
    wait_until(lambda: len(list(station.spool.incoming.iterdir())) == 1)
    stopping = threading.Thread(target=station.receiver.stop)
    stopping.start()
    stopping.join(0.2)
    assert stopping.is_alive()
    associated.sendall(pdu(4, value(content[50:], control=2)))
    assert [answer(associated), answer(associated)] == [P_DATA, ABORT]
    stopping.join(60)
    assert [arrival.sop_uid for arrival in station.arrivals] == [dataset.SOPInstanceUID]
    assert [closed.released for closed in station.closed] == [False]


def test_a_message_that_does_not_end_does_not_hold_up_the_stop(station: Station, associated: socket.socket) -> None:
    associated.sendall(pdu(4, value(store_command(), control=3)))
    wait_until(lambda: len(list(station.spool.incoming.iterdir())) == 1)
    station.receiver.stop(limit_seconds=0.2)
    assert len(station.closed) == 1
    assert list(station.spool.incoming.iterdir()) == []


def test_half_a_file_never_appears(station: Station, associated: socket.socket) -> None:
    associated.sendall(pdu(4, value(store_command(), control=3)) + pdu(4, value(b"\x08\0\x16\0UI", control=0)))
    wait_until(lambda: len(list(station.spool.incoming.iterdir())) == 1)
    associated.close()
    wait_until(lambda: len(station.closed) == 1)
    assert list(station.spool.scan()) == list(station.spool.incoming.iterdir()) == []


@pytest.mark.parametrize("sop_uid", ["../../../etc/passwd", "1.2/3", "Doe^Jane", "", "1" * 65])
def test_a_name_that_is_no_uid_becomes_no_path(station: Station, associated: socket.socket, sop_uid: str) -> None:
    associated.sendall(pdu(4, value(store_command(sop_uid), control=3)) + pdu(4, value(b"x", control=2)))
    response = associated.recv(1000)
    assert struct.pack("<HHIH", 0, 0x0900, 2, 0x0117) in response
    assert list(station.spool.incoming.iterdir()) == []


def test_an_operation_that_is_not_offered_is_answered_so(station: Station, associated: socket.socket) -> None:
    find = encode({Element.COMMAND_FIELD: 0x0020, Element.MESSAGE_ID: 9, Element.COMMAND_DATA_SET_TYPE: 0})
    associated.sendall(pdu(4, value(find, control=3)) + pdu(4, value(b"a query", control=2)))
    assert struct.pack("<HHIH", 0, 0x0900, 2, 0x0211) in associated.recv(1000)
