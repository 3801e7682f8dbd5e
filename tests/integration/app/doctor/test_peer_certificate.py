"""doctor says until when the certificate of an archive is valid."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestrator.network.certificates import read_peer_certificate
from orchestrator.network.tls import TlsFiles
from tests.parts.archive.web_server import Answer, web_server
from tests.parts.certificates import Authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """The authority that signs the certificate of the archive."""
    return Authority(tmp_path / "authority")


def showing(authority: Authority, days: int) -> ssl.SSLContext:
    """Return the TLS of an archive whose certificate ends in so many days."""
    pair = authority.issue("archive", days=days)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    return context


def test_the_end_is_that_of_the_certificate_that_is_shown(authority: Authority) -> None:
    files = TlsFiles(ca_file=authority.certificate)
    with web_server(lambda _: Answer(), showing(authority, 40)) as port:
        shown = read_peer_certificate("127.0.0.1", port, files, timeout_seconds=5.0)
    assert shown.protocol == "TLSv1.3"
    assert abs(shown.expires - datetime.now(UTC) - timedelta(days=40)) < timedelta(minutes=5)


def test_a_certificate_of_an_unknown_authority_is_refused(authority: Authority, tmp_path: Path) -> None:
    other = TlsFiles(ca_file=Authority(tmp_path / "other").certificate)
    with web_server(lambda _: Answer(), showing(authority, 40)) as port, pytest.raises(ssl.SSLCertVerificationError):
        read_peer_certificate("127.0.0.1", port, other, timeout_seconds=5.0)
