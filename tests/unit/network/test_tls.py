"""Contexts of TLS: what they refuse, and when files are read again."""

from __future__ import annotations

import os
import ssl
import subprocess
from pathlib import Path

import pytest

from orchestrator.network.tls import TlsFiles, check_callers, client_context, server_context
from tests.parts.certificates import Authority, Pair


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that the contexts may trust."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def pair(authority: Authority) -> Pair:
    """A certificate of that authority."""
    return authority.issue("host")


def test_both_sides_speak_bcp_195_only(authority: Authority, pair: Pair) -> None:
    for context in (
        client_context(TlsFiles(ca_file=authority.certificate)),
        server_context(pair.certificate, pair.key),
    ):
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        suites = [each["name"] for each in context.get_ciphers()]
        assert all(name.startswith(("TLS_", "ECDHE-")) for name in suites)
        assert all("GCM" in name or "CHACHA20" in name for name in suites if name.startswith("ECDHE-"))


def test_a_client_checks_certificate_and_name(authority: Authority) -> None:
    for files in (TlsFiles(), TlsFiles(ca_file=authority.certificate)):
        context = client_context(files)
        assert context.verify_mode == ssl.CERT_REQUIRED
        assert context.check_hostname


def test_the_machines_authorities_are_not_trusted_beside_ones_own(authority: Authority) -> None:
    assert client_context(TlsFiles(ca_file=authority.certificate)).cert_store_stats()["x509_ca"] == 1


@pytest.mark.parametrize(("require", "mode"), [(True, ssl.CERT_REQUIRED), (False, ssl.CERT_OPTIONAL)])
def test_a_server_asks_callers_when_told(authority: Authority, pair: Pair, require: bool, mode: ssl.VerifyMode) -> None:
    context = server_context(pair.certificate, pair.key)
    assert context.verify_mode == ssl.CERT_NONE
    check_callers(context, authority.certificate, require_certificate=require)
    assert context.verify_mode == mode


def test_a_file_that_changes_is_read_again(tmp_path: Path, authority: Authority) -> None:
    live = tmp_path / "ca.pem"
    live.write_bytes(authority.certificate.read_bytes())
    files = TlsFiles(ca_file=live)
    first = client_context(files)
    assert client_context(files) is first
    os.utime(live, ns=(1, 1))
    assert client_context(files) is not first


def test_a_key_with_a_password_is_a_fault_and_asks_nobody(tmp_path: Path, pair: Pair) -> None:
    locked = tmp_path / "locked.key"
    command = ["openssl", "pkey", "-in", pair.key, "-aes256", "-passout", "pass:secret", "-out", locked]
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(OSError):  # noqa: PT011  # OpenSSL's words differ
        server_context(pair.certificate, locked)
    with pytest.raises(OSError):  # noqa: PT011
        client_context(TlsFiles(certificate_file=pair.certificate, key_file=locked))


def test_a_missing_file_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        client_context(TlsFiles(ca_file=tmp_path / "none.pem"))
