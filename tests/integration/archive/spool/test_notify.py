import json
import socket
from contextlib import chdir
from pathlib import Path
from time import monotonic, sleep

import pytest

from orchestrator.archive import Arrival, Closed, Listener, Ringer


@pytest.fixture(params=["doorbell.sock", "a-folder-whose-name-is-long/" * 6 + "doorbell.sock"])
def path(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    place = tmp_path / request.param
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


ARRIVAL = Arrival(
    path=Path("/spool/1.2/1.3/1.4-0123456789ab.dcm"),
    study_uid="1.2",
    series_uid="1.3",
    sop_uid="1.4",
    sop_class="1.2.840.10008.5.1.4.1.1.2",
    transfer_syntax="1.2.840.10008.1.2.1",
    calling="CT1",
    called="ORCHESTRATOR",
    association="a1",
)
CLOSED = Closed(association="a1", released=True, calling="CT1", called="ORCHESTRATOR")


def heard(listener: Listener, count: int = 0) -> list[Arrival | Closed]:
    """Return what is heard until there are so many notes, or until it is silent."""
    notes, deadline = list(listener.hear(1.0)), monotonic() + 60.0
    while monotonic() < deadline and len(notes) < count:
        notes += listener.hear(0.1)
    return notes + [note for _ in range(3) for note in listener.hear(0.05)]


def test_what_is_rung_is_heard_in_order(path: Path) -> None:
    listener, ringer = Listener(path), Ringer(path)
    assert ringer.ring(ARRIVAL)
    assert ringer.ring(CLOSED)
    assert heard(listener, 2) == [ARRIVAL, CLOSED]
    ringer.close()
    listener.close()


def test_nobody_listens_and_nothing_fails(path: Path) -> None:
    ringer = Ringer(path)
    assert not ringer.ring(ARRIVAL)
    ringer.close()


def test_a_listener_that_comes_back_is_heard_by_the_same_ringer(path: Path) -> None:
    ringer = Ringer(path)
    Listener(path).close()
    assert not ringer.ring(ARRIVAL)
    again = Listener(path)
    assert ringer.ring(CLOSED)
    assert list(again.hear(1.0)) == [CLOSED]
    again.close()
    ringer.close()


def test_nothing_that_was_rung_is_lost_while_the_listener_is_busy(path: Path) -> None:
    listener, ringer = Listener(path), Ringer(path)
    kernel_keeps = int(Path("/proc/sys/net/unix/max_dgram_qlen").read_text())
    for _ in range(20 * kernel_keeps):
        assert ringer.ring(ARRIVAL)
        sleep(0.0005)  # an instance takes longer
    assert len(heard(listener)) == 20 * kernel_keeps
    ringer.close()
    listener.close()


def test_a_doorbell_that_nobody_empties_never_holds_the_ringer_up(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf, chdir(path.parent):
        deaf.bind(path.name)
        ringer = Ringer(path)
        assert not all(ringer.ring(ARRIVAL) for _ in range(5000))
        ringer.close()


def test_silence_is_nothing(path: Path) -> None:
    listener = Listener(path)
    assert list(listener.hear(0.01)) == []
    listener.close()


@pytest.mark.parametrize(
    "noise", [b"", b"\xff", b"[]", b"{}", b'{"note": "Closed"}', b'{"note": "Arrival", "path": 3}']
)
def test_noise_is_passed_over(path: Path, noise: bytes) -> None:
    listener, ringer = Listener(path), Ringer(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger, chdir(path.parent):
        stranger.sendto(noise, path.name)
    ringer.ring(CLOSED)
    assert list(listener.hear(1.0)) == [CLOSED]
    ringer.close()
    listener.close()


def test_an_old_listener_does_not_take_down_the_new_doorbell(path: Path) -> None:
    old = Listener(path)
    new = Listener(path)
    old.close()
    ringer = Ringer(path)
    assert ringer.ring(CLOSED)
    new.close()
    ringer.close()


def test_a_note_is_small_json(path: Path) -> None:
    ringer = Ringer(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bare, chdir(path.parent):
        bare.bind(path.name)
        ringer.ring(CLOSED)
        assert json.loads(bare.recv(1000))["association"] == "a1"
    ringer.close()
