import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.archive.protocol.pdu import (
    MAXIMUM_PDU_BYTES,
    Abort,
    Pdu,
    PduConnection,
    ProtocolFault,
    fragments,
    message_pdus,
)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, PduConnection]]:
    peer, ours = socket.socketpair()
    with peer, ours:
        yield peer, PduConnection(ours)


def test_a_pdu_arrives_whole_in_whatever_pieces_it_comes(pair: tuple[socket.socket, PduConnection]) -> None:
    peer, ours = pair
    pdu = struct.pack(">BxI", 4, 5) + b"12345"
    sender = threading.Thread(target=lambda: [peer.sendall(pdu[i : i + 1]) for i in range(len(pdu))])
    sender.start()
    kind, content = ours.read(5)
    sender.join()
    assert (kind, bytes(content)) == (Pdu.P_DATA, pdu)


def test_two_long_pdus_follow_each_other(pair: tuple[socket.socket, PduConnection]) -> None:
    peer, ours = pair
    pdu = struct.pack(">BxI", 4, MAXIMUM_PDU_BYTES) + bytes(MAXIMUM_PDU_BYTES)
    sender = threading.Thread(target=lambda: peer.sendall(pdu + pdu))
    sender.start()
    first = ours.read(5)
    second = ours.read(5)
    sender.join()
    assert len(first[1]) == len(second[1]) == len(pdu)


def test_a_pdu_beyond_the_limit_is_refused_before_it_is_read(pair: tuple[socket.socket, PduConnection]) -> None:
    peer, ours = pair
    peer.sendall(struct.pack(">BxI", 4, 0xFFFFFFFF))
    with pytest.raises(ProtocolFault, match="4294967295 bytes"):
        ours.read(5)


def test_an_unknown_pdu_type_is_refused(pair: tuple[socket.socket, PduConnection]) -> None:
    peer, ours = pair
    peer.sendall(b"GET / HTTP/1.1\r\n")
    with pytest.raises(ProtocolFault, match="type 47H") as refused:
        ours.read(5)
    assert refused.value.abort is Abort.UNRECOGNIZED_PDU


def test_a_byte_now_and_then_does_not_hold_the_place(pair: tuple[socket.socket, PduConnection]) -> None:
    peer, ours = pair
    peer.sendall(b"\4")
    with pytest.raises(TimeoutError):
        ours.read(0.05)


def test_a_peer_that_goes_away_within_a_pdu_is_an_end(pair: tuple[socket.socket, PduConnection]) -> None:
    peer, ours = pair
    peer.sendall(struct.pack(">BxI", 4, 100) + b"half")
    peer.close()
    with pytest.raises(EOFError):
        ours.read(5)


@given(st.binary(min_size=1, max_size=300), st.one_of(st.just(0), st.integers(16, 400)))
def test_a_command_set_comes_back_from_pdus_that_the_peer_takes(command: bytes, maximum: int) -> None:
    encoded, parts, lasts = memoryview(message_pdus(3, command, maximum)), [], []
    while encoded:
        length = 6 + int.from_bytes(encoded[2:6], "big")
        assert not maximum or length - 6 <= maximum
        for context, is_command, last, content in fragments(encoded[:length]):
            assert (context, is_command) == (3, True)
            parts.append(bytes(content))
            lasts.append(last)
        encoded = encoded[length:]
    assert b"".join(parts) == command
    assert lasts == [False] * (len(lasts) - 1) + [True]


@given(st.binary(max_size=100))
def test_any_bytes_are_fragments_or_a_fault(content: bytes) -> None:
    with suppress(ProtocolFault):
        assert sum(len(part) + 6 for *_, part in fragments(memoryview(bytes(6) + content))) == len(content)


@given(st.binary(min_size=1, max_size=300), st.one_of(st.just(0), st.integers(16, 400)))
def test_a_data_set_follows_its_command_set(data_set: bytes, maximum: int) -> None:
    encoded, content = memoryview(message_pdus(3, b"command", maximum, data_set)), {True: b"", False: b""}
    while encoded:
        length = 6 + int.from_bytes(encoded[2:6], "big")
        for _, is_command, _, part in fragments(encoded[:length]):
            content[is_command] += part
        encoded = encoded[length:]
    assert content == {True: b"command", False: data_set}
