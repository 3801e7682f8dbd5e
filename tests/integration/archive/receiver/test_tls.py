"""The receiver under TLS, against DCMTK's senders with certificates of their own."""

from __future__ import annotations

import logging
import shutil
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from orchestrator.archive import Credentials, Entity, KnownSender
from orchestrator.domain.errors import SettingsError
from tests.data.objects import write_instances
from tests.integration.archive.conftest import Station, wait_until
from tests.integration.archive.receiver.test_abuse import ABORT, ACCEPT, association_request
from tests.parts.archive.dcmtk import echoscu, storescu
from tests.parts.certificates import Authority, Pair

Start = Callable[..., Station]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def ours(authority: Authority) -> Pair:
    return authority.issue("orchestrator")


@pytest.fixture(scope="module")
def ct1(authority: Authority) -> Pair:
    return authority.issue("ct1", host="ct1.radiology.example")


@pytest.fixture
def credentials(authority: Authority, ours: Pair) -> Credentials:
    return Credentials(ours.certificate, ours.key, authority.certificate)


@pytest.fixture
def secured(start: Start, credentials: Credentials) -> Station:
    return start(tls=credentials, tls_port=0)


def shown(pair: Pair, authority: Authority) -> list[str]:
    """Return DCMTK's options to show a certificate and to believe an authority."""
    return ["+tls", str(pair.key), str(pair.certificate), "+cf", str(authority.certificate)]


def test_images_come_under_tls_and_in_the_clear(
    secured: Station, authority: Authority, ct1: Pair, tmp_path: Path
) -> None:
    files = write_instances(tmp_path / "sent", 4)
    assert storescu(secured.receiver.tls_port, files[:2], *shown(ct1, authority), calling="CT1").returncode == 0
    assert storescu(secured.port, files[2:], calling="CT1").returncode == 0
    wait_until(lambda: len(secured.closed) == 2)
    assert len(list(secured.spool.scan())) == 4


def test_nothing_is_taken_in_the_clear_where_there_is_only_tls(
    start: Start, credentials: Credentials, authority: Authority, ct1: Pair
) -> None:
    station = start(port=None, tls=credentials, tls_port=0)
    assert station.port == 0
    assert echoscu(station.receiver.tls_port).returncode != 0
    assert echoscu(station.receiver.tls_port, *shown(ct1, authority)).returncode == 0


def test_who_shows_no_certificate_is_refused(secured: Station, authority: Authority) -> None:
    """Under TLS 1.3 the handshake itself succeeds for the caller, so only an echo shows it."""
    anonymous = ["+tla", "+cf", str(authority.certificate)]
    assert echoscu(secured.receiver.tls_port, *anonymous).returncode != 0


def test_without_mutual_tls_an_anonymous_caller_is_served(start: Start, authority: Authority, ours: Pair) -> None:
    station = start(tls=Credentials(ours.certificate, ours.key, require_certificate=False), tls_port=0)
    assert echoscu(station.receiver.tls_port, "+tla", "+cf", str(authority.certificate)).returncode == 0


def test_a_certificate_of_another_authority_is_refused_by_name(
    secured: Station, authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = Authority(tmp_path / "other", "Other Authority").issue("ct1")
    assert echoscu(secured.receiver.tls_port, *shown(stranger, authority)).returncode != 0
    wait_until(lambda: "TLS connection from 127.0.0.1 refused: unable to get local issuer certificate" in caplog.text)


def test_an_expired_certificate_is_refused_by_name(
    secured: Station, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    expired = authority.issue("old", expired=True)
    assert echoscu(secured.receiver.tls_port, *shown(expired, authority)).returncode != 0
    wait_until(lambda: "TLS connection from 127.0.0.1 refused: certificate has expired" in caplog.text)


@pytest.mark.parametrize("binding", ["ct1", "CT1.radiology.example", "sha256:{fingerprint}"])
def test_an_ae_title_is_bound_to_a_certificate(
    start: Start, credentials: Credentials, authority: Authority, ct1: Pair, binding: str
) -> None:
    known = KnownSender(ae_title="CT1", certificate=binding.format(fingerprint=ct1.fingerprint))
    station = start(tls=credentials, tls_port=0, senders=[known])
    mine, other = shown(ct1, authority), shown(authority.issue("mr1"), authority)
    ways = [(station.receiver.tls_port, mine), (station.receiver.tls_port, other), (station.port, [])]
    answers = [echoscu(port, *options, calling="CT1") for port, options in ways]
    assert [answer.returncode == 0 for answer in answers] == [True, False, False]
    assert "Reason: Calling AE Title Not Recognized" in answers[1].stderr
    assert echoscu(station.port, calling="MR1").returncode == 0


def test_a_bound_certificate_serves_the_titles_that_it_is_bound_to_only(
    start: Start, credentials: Credentials, authority: Authority, ct1: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    bound = [KnownSender(ae_title=title, certificate="ct1") for title in ("CT1", "CT1_DOSE")]
    station = start(tls=credentials, tls_port=0, senders=bound)
    mine = shown(ct1, authority)
    answers = [echoscu(station.receiver.tls_port, *mine, calling=title) for title in ("CT1", "CT1_DOSE", "CT2")]
    assert [answer.returncode == 0 for answer in answers] == [True, True, False]
    assert "its certificate is bound to CT1, CT1_DOSE and not to CT2" in caplog.text


def test_the_log_names_the_bound_title_and_no_certificate(
    start: Start, credentials: Credentials, caplog: pytest.LogCaptureFixture
) -> None:
    station = start(tls=credentials, tls_port=0, senders=[KnownSender(ae_title="CT1", certificate="secret.example")])
    echoscu(station.port, calling="CT1")
    assert "association from CT1 at 127.0.0.1 rejected with CALLING_NOT_RECOGNIZED" in caplog.text
    assert "secret.example" not in caplog.text


def test_a_renewed_certificate_is_shown_without_a_restart(
    start: Start, authority: Authority, ct1: Pair, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    first, second = authority.issue("first"), authority.issue("second")
    live = copied(first, tmp_path / "live")
    station = start(tls=Credentials(live.certificate, live.key, authority.certificate), tls_port=0)
    assert subject(station, ct1, authority) == "first"
    copied(second, tmp_path / "live")
    assert subject(station, ct1, authority) == "second"
    assert "read its changed TLS certificate" in caplog.text


def test_a_faulty_renewal_leaves_the_old_certificate_in_use(
    start: Start, authority: Authority, ct1: Pair, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    live = copied(authority.issue("first"), tmp_path / "live")
    station = start(tls=Credentials(live.certificate, live.key, authority.certificate), tls_port=0)
    shutil.copy(authority.issue("second").certificate, live.certificate)  # and its key not
    assert subject(station, ct1, authority) == "first"
    live.key.unlink()
    assert subject(station, ct1, authority) == "first"
    assert "receiver keeps its previous TLS certificates" in caplog.text


def copied(pair: Pair, folder: Path) -> Pair:
    folder.mkdir(exist_ok=True)
    return Pair(
        Path(shutil.copy(pair.certificate, folder / "live.pem")), Path(shutil.copy(pair.key, folder / "live.key"))
    )


def subject(station: Station, pair: Pair, authority: Authority) -> str:
    """Return the Common Name of the certificate that the station shows."""
    with tls_client(station, pair, authority) as connection:
        certificate: dict[str, Any] = connection.getpeercert() or {}
    return str(dict(part[0] for part in certificate["subject"])["commonName"])


@contextmanager
def tls_client(station: Station, pair: Pair, authority: Authority) -> Iterator[ssl.SSLSocket]:
    context = ssl.create_default_context(cafile=authority.certificate)
    context.load_cert_chain(pair.certificate, pair.key)
    with (
        socket.create_connection(("127.0.0.1", station.receiver.tls_port), 5.0) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        yield connection


@pytest.mark.parametrize("missing", ["certificate", "key", "authority"])
def test_files_that_are_not_there_or_wrong_are_refused_at_the_start(
    authority: Authority, ours: Pair, tmp_path: Path, missing: str
) -> None:
    files = {"certificate": ours.certificate, "key": ours.key, "authority": authority.certificate}
    (tmp_path / "noise").write_text("no PEM")
    for wrong in (tmp_path / "absent", tmp_path / "noise"):
        with pytest.raises(SettingsError, match=r"\[receiver_tls\]"):
            Credentials(*(files | {missing: wrong}).values())


def test_twenty_silent_clients_before_and_in_the_handshake_hold_up_nobody(
    start: Start, credentials: Credentials, authority: Authority, ct1: Pair
) -> None:
    station = start(tls=credentials, tls_port=0, maximum_associations=10, association_seconds=600)
    with ExitStack() as silent:
        for beginning in [b""] * 10 + [b"\x16\x03\x01\x02\x00\x01"] * 10:
            client = silent.enter_context(socket.create_connection(("127.0.0.1", station.receiver.tls_port)))
            client.sendall(beginning)
        assert echoscu(station.receiver.tls_port, *shown(ct1, authority)).returncode == 0


@pytest.mark.parametrize("beginning", [b"", b"\x16\x03\x01\x02\x00\x01"])
def test_who_does_not_finish_the_handshake_is_let_go(start: Start, credentials: Credentials, beginning: bytes) -> None:
    station = start(tls=credentials, tls_port=0, association_seconds=0.2)
    with socket.create_connection(("127.0.0.1", station.receiver.tls_port), 60.0) as peer:
        peer.sendall(beginning)
        assert peer.recv(100) == b""


def test_an_idle_association_under_tls_does_not_hold_up_the_stop(
    secured: Station, authority: Authority, ct1: Pair
) -> None:
    with tls_client(secured, ct1, authority) as peer:
        peer.sendall(association_request())
        assert peer.recv(1000)[0] == ACCEPT
        secured.receiver.stop(limit_seconds=5)
        assert peer.recv(1000)[0] == ABORT
    assert [closed.released for closed in secured.closed] == [False]


def test_each_ae_title_has_senders_of_its_own(start: Start) -> None:
    entities = [Entity("AI_CT", frozenset({"CT1"})), Entity("AI_MR", frozenset({"MR1"}))]
    station = start(entities=entities)
    taken = [
        (calling, called)
        for calling in ("CT1", "MR1")
        for called in ("AI_CT", "AI_MR", "ORCHESTRATOR")
        if echoscu(station.port, calling=calling, called=called).returncode == 0
    ]
    assert taken == [("CT1", "AI_CT"), ("MR1", "AI_MR")]


def test_a_probe_of_the_port_is_no_news(secured: Station, caplog: pytest.LogCaptureFixture) -> None:
    for beginning in (b"", b"\x16\x03\x01\x02\x00\x01"):
        with socket.create_connection(("127.0.0.1", secured.receiver.tls_port), 60.0) as peer:
            peer.sendall(beginning)
            peer.shutdown(socket.SHUT_WR)
            peer.recv(100)  # until the receiver has let go
    assert caplog.text == ""
