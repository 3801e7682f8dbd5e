"""Checks that certificates are valid and warns before they expire."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.app.doctor.check import Check, Health
from orchestrator.config import Settings
from orchestrator.network.certificates import own_certificate_end

RENEW_DAYS = 30
"""A certificate that expires within this many days is a warning."""


def check_own_certificates(settings: Settings) -> Iterator[Check]:
    """Yield a check for each certificate that the settings name for the receiver, an archive or a destination."""
    tls = settings.receiver_tls
    if tls.enabled and tls.certificate_file and tls.key_file:
        yield _check_files("receiver TLS certificate", tls.certificate_file, tls.key_file)
    for item in (*settings.archives, *settings.destinations):
        if item.certificate_file and item.key_file:
            yield _check_files(f"certificate for {item.name}", item.certificate_file, item.key_file)


def check_expiry(name: str, expires: datetime, *, subject: str, advice: str) -> Check:
    """Return the check of a certificate by the time when it expires. subject: the first word of the state."""
    days = (expires - datetime.now(UTC)).days
    if days < 0:
        return Check(name, Health.BAD, f"{subject} expired on {expires:%Y-%m-%d}", advice)
    state = f"{subject} valid until {expires:%Y-%m-%d}"
    if days < RENEW_DAYS:
        return Check(name, Health.WARNING, f"{state}: {days} {'day' if days == 1 else 'days'} left", advice)
    return Check(name, Health.GOOD, state)


def _check_files(name: str, certificate: Path, key: Path) -> Check:
    try:
        expires = own_certificate_end(certificate, key)
    except OSError as fault:
        return Check(
            name, Health.BAD, f"{certificate}: {fault}", "correct certificate_file and key_file in the settings"
        )
    advice = f"renew {certificate}; peers refuse every connection once it has expired"
    return check_expiry(name, expires, subject="certificate", advice=advice)
