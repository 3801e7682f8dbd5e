import json
import signal
import socket
from contextlib import chdir, closing
from pathlib import Path
from threading import Timer
from time import monotonic, sleep

import pytest

from orchestrator.archive import Arrival, Closed, Listener, Notifier


@pytest.fixture(params=["notifications.sock", "a-folder-whose-name-is-long/" * 6 + "notifications.sock"])
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


def received(listener: Listener, count: int = 0) -> list[Arrival | Closed]:
    """Return what is received until there are so many notifications, or until it is silent."""
    notifications, deadline = list(listener.receive(1.0)), monotonic() + 60.0
    while monotonic() < deadline and len(notifications) < count:
        notifications += listener.receive(0.1)
    return notifications + [notification for _ in range(3) for notification in listener.receive(0.05)]


def test_notifications_are_received_in_order(path: Path) -> None:
    listener, notifier = Listener(path), Notifier(path)
    assert notifier.notify(ARRIVAL)
    assert notifier.notify(CLOSED)
    assert received(listener, 2) == [ARRIVAL, CLOSED]
    notifier.close()
    listener.close()


def test_nobody_listens_and_nothing_fails(path: Path) -> None:
    notifier = Notifier(path)
    assert not notifier.notify(ARRIVAL)
    notifier.close()


def test_a_listener_that_comes_back_hears_the_same_notifier(path: Path) -> None:
    notifier = Notifier(path)
    Listener(path).close()
    assert not notifier.notify(ARRIVAL)
    again = Listener(path)
    assert notifier.notify(CLOSED)
    assert list(again.receive(1.0)) == [CLOSED]
    again.close()
    notifier.close()


def test_no_notification_is_lost_while_the_listener_is_busy(path: Path) -> None:
    listener, notifier = Listener(path), Notifier(path)
    kernel_keeps = int(Path("/proc/sys/net/unix/max_dgram_qlen").read_text())
    for _ in range(20 * kernel_keeps):
        assert notifier.notify(ARRIVAL)
        sleep(0.0005)  # an instance takes longer
    assert len(received(listener)) == 20 * kernel_keeps
    notifier.close()
    listener.close()


def test_a_socket_that_nobody_reads_never_holds_up_the_notifier(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf, chdir(path.parent):
        deaf.bind(path.name)
        notifier = Notifier(path)
        assert not all(notifier.notify(ARRIVAL) for _ in range(5000))
        notifier.close()


def test_silence_is_nothing(path: Path) -> None:
    listener = Listener(path)
    assert list(listener.receive(0.01)) == []
    listener.close()


@pytest.mark.parametrize(
    "noise", [b"", b"\xff", b"[]", b"{}", b'{"note": "Closed"}', b'{"note": "Arrival", "path": 3}']
)
def test_noise_is_passed_over(path: Path, noise: bytes) -> None:
    listener, notifier = Listener(path), Notifier(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger, chdir(path.parent):
        stranger.sendto(noise, path.name)
    notifier.notify(CLOSED)
    assert list(listener.receive(1.0)) == [CLOSED]
    notifier.close()
    listener.close()


def test_an_old_listener_does_not_remove_the_socket_of_the_new_one(path: Path) -> None:
    old = Listener(path)
    new = Listener(path)
    old.close()
    notifier = Notifier(path)
    assert notifier.notify(CLOSED)
    new.close()
    notifier.close()


def test_a_notification_is_small_json(path: Path) -> None:
    notifier = Notifier(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bare, chdir(path.parent):
        bare.bind(path.name)
        notifier.notify(CLOSED)
        assert json.loads(bare.recv(1000))["association"] == "a1"
    notifier.close()


def test_a_signal_that_comes_while_it_waits_does_not_make_it_wait_for_ever(path: Path) -> None:
    before = signal.signal(signal.SIGALRM, lambda *_: sleep(0.2))  # the time is over when the handler ends
    with closing(Listener(path)) as listener, closing(Notifier(path)) as notifier:
        too_late = Timer(5.0, notifier.notify, [ARRIVAL])
        too_late.start()
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        try:
            assert list(listener.receive(0.1)) == []
        finally:
            too_late.cancel()
            too_late.join()
            signal.signal(signal.SIGALRM, before)
