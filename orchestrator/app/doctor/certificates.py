"""Until when this host's own certificates are good: who forgets one is cut off from every archive at once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.app.doctor.archive import RENEW_DAYS
from orchestrator.app.doctor.check import Check, Health
from orchestrator.config import Settings
from orchestrator.network.certificates import own_certificate_end


def own_certificates(settings: Settings) -> Iterator[Check]:
    """Yield a check for each certificate that the receiver or a connection of ours shows."""
    tls = settings.receiver_tls
    if tls.enabled and tls.certificate_file and tls.key_file:
        yield _check("receiver TLS certificate", tls.certificate_file, tls.key_file)
    for item in (*settings.archives, *settings.destinations):
        if item.certificate_file and item.key_file:
            yield _check(f"certificate for {item.name}", item.certificate_file, item.key_file)


def _check(name: str, certificate: Path, key: Path) -> Check:
    try:
        end = own_certificate_end(certificate, key)
    except OSError as fault:
        return Check(name, Health.BAD, f"{certificate}: {fault}", "see its files in the settings")
    days, found = (end - datetime.now(UTC)).days, f"until {end:%Y-%m-%d}"
    if days < 0:
        return Check(name, Health.BAD, f"{found}: it has ended", f"renew {certificate}; every connection is refused")
    if days < RENEW_DAYS:
        return Check(name, Health.WARNING, f"{found}: {days} days left", f"renew {certificate}")
    return Check(name, Health.GOOD, found)
