import json
import socket
from contextlib import chdir
from pathlib import Path

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


def test_what_is_rung_is_heard_in_order(path: Path) -> None:
    listener, ringer = Listener(path), Ringer(path)
    assert ringer.ring(ARRIVAL)
    assert ringer.ring(CLOSED)
    assert list(listener.hear(1.0)) == [ARRIVAL, CLOSED]
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


def test_a_slow_listener_never_holds_the_ringer_up(path: Path) -> None:
    listener, ringer = Listener(path), Ringer(path)
    rung = [ringer.ring(ARRIVAL) for _ in range(5000)]
    assert not all(rung)
    assert len(list(listener.hear(1.0))) == sum(rung)
    ringer.close()
    listener.close()


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
    listener, ringer = Listener(path), Ringer(path)
    ringer.ring(CLOSED)
    assert json.loads(listener._socket.recv(1000))["association"] == "a1"
    ringer.close()
    listener.close()
