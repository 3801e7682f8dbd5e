"""When certificates end, as DER and as PEM, valid or not."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.network.certificates import certificate_end, own_certificate_end
from tests.parts.certificates import Authority

BROKEN = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that signs the certificates."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.mark.parametrize(("days", "expired"), [(400, False), (-1, True)])
def test_the_end_is_that_of_the_certificate_whatever_day_it_is(authority: Authority, days: int, expired: bool) -> None:
    pair = authority.issue(f"host{days}", days=days, expired=expired)
    end = own_certificate_end(pair.certificate, pair.key)
    assert abs(end - datetime.now(UTC) - timedelta(days=days)) < timedelta(minutes=5)
    assert certificate_end(ssl.PEM_cert_to_DER_cert(pair.certificate.read_text())) == end


def test_the_first_certificate_of_a_file_counts(authority: Authority) -> None:
    pair = authority.issue("chain", days=400)
    chain = pair.key.read_bytes() + pair.certificate.read_bytes() + authority.certificate.read_bytes()
    assert certificate_end(chain) == certificate_end(pair.certificate.read_bytes())


@pytest.mark.parametrize("content", [b"", b"nothing", BROKEN])
def test_what_is_no_certificate_is_a_fault(content: bytes) -> None:
    with pytest.raises(OSError, match="no readable certificate"):
        certificate_end(content)


def test_a_key_of_another_certificate_is_a_fault(authority: Authority) -> None:
    with pytest.raises(OSError):  # noqa: PT011  # OpenSSL's words differ
        own_certificate_end(authority.issue("one").certificate, authority.issue("two").key)
