"""DICOMweb archives under TLS, with sound and unsound certificates."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from orchestrator.archive import connect
from orchestrator.domain.errors import ArchiveRefused
from tests.integration.archive.dicomweb.answers import always
from tests.parts.archive.web_server import web_server
from tests.parts.certificates import Authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def by_tls(authority: Authority, *, expired: bool = False, mutual: bool = False) -> ssl.SSLContext:
    pair = authority.issue("expired" if expired else "archive", expired=expired)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    if mutual:
        context.load_verify_locations(authority.certificate)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def echo(context: ssl.SSLContext, host: str = "127.0.0.1", **told: Any) -> float:
    with web_server(always(200), context) as port:
        return connect(f"dicomweb+https://{host}:{port}", name="vna", **told).echo()


def test_an_archive_of_the_named_authority_is_believed(authority: Authority) -> None:
    assert echo(by_tls(authority), ca_file=authority.certificate) > 0


def test_an_archive_that_asks_for_our_certificate_gets_it(authority: Authority) -> None:
    ours = authority.issue("host")
    told = {"ca_file": authority.certificate, "certificate_file": ours.certificate, "key_file": ours.key}
    assert echo(by_tls(authority, mutual=True), **told) > 0


@pytest.mark.parametrize(
    ("expired", "named", "words"),
    [(True, True, "certificate has expired"), (False, False, "unable to get local issuer certificate")],
)
def test_a_certificate_that_does_not_hold_is_refused(
    authority: Authority, words: str, *, expired: bool, named: bool
) -> None:
    told = {"ca_file": authority.certificate} if named else {}
    with pytest.raises(ArchiveRefused, match=f"invalid certificate \\({words}\\): renew it there, or set ca_file"):
        echo(by_tls(authority, expired=expired), **told)


def test_an_archive_that_wants_a_certificate_we_lack_says_what_to_set(authority: Authority) -> None:
    with pytest.raises(ArchiveRefused, match=r"TLS handshake failed .*: set certificate_file and key_file"):
        echo(by_tls(authority, mutual=True), ca_file=authority.certificate)


def test_an_archive_without_tls_on_its_port_is_told(authority: Authority) -> None:
    with web_server(always(200)) as port, pytest.raises(ArchiveRefused, match="check that it speaks TLS"):
        connect(f"orthanc+https://127.0.0.1:{port}", name="vna", ca_file=authority.certificate).echo()


def test_a_file_that_holds_no_certificate_is_named(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("")
    with pytest.raises(ArchiveRefused, match=r"empty\.pem cannot be used for TLS"):
        echo(by_tls(authority), ca_file=tmp_path / "empty.pem")
