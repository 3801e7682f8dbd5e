"""Decides which peers may open an association, by AE titles and certificates."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from orchestrator.archive.protocol.negotiation import Proposal, Rejection
from orchestrator.network.tls import TlsFiles


@dataclass(frozen=True, slots=True)
class Entity:
    """One AE title of this host and the calling AE titles that may send to it; empty = any, on loopback only."""

    ae_title: str = "ORCHESTRATOR"
    allow: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSender:
    """A sender that the settings describe.

    certificate: its Common Name or a DNS name of it, or ``sha256:`` and its fingerprint in hexadecimal digits;
    empty = any certificate or none. host, port: where the sender receives storage commitment reports; empty = nowhere.
    tls: the files for TLS to that address; None = no TLS there.
    """

    ae_title: str
    certificate: str = ""
    host: str = ""
    port: int = 0
    tls: TlsFiles | None = None


@dataclass(frozen=True, slots=True)
class Certificate:
    """A verified certificate of a peer. names: Common Name and DNS names, in lower case."""

    names: frozenset[str]
    sha256: str

    @classmethod
    def of(cls, connection: object) -> Certificate | None:
        """Return the peer's certificate, None where the connection has no TLS or the peer sent no certificate."""
        if not isinstance(connection, ssl.SSLSocket):
            return None
        der, fields = connection.getpeercert(binary_form=True), connection.getpeercert()
        if not der or not fields:
            return None
        return cls(frozenset(_names(fields)), hashlib.sha256(der).hexdigest())

    def matches(self, name: str) -> bool:
        """Return whether this is the certificate in the settings. name: see ``KnownSender.certificate``."""
        kind, _, fingerprint = name.partition(":")
        if kind.lower() == "sha256":
            return fingerprint.replace(":", "").lower() == self.sha256
        return name.lower() in self.names


@dataclass(frozen=True, slots=True)
class Admission:
    """Decides whether an association is accepted."""

    entities: Collection[Entity]
    senders: Collection[KnownSender] = field(default=())

    def rejection(self, proposal: Proposal, certificate: Certificate | None) -> tuple[Rejection, str] | None:
        """Return the rejection and its reason for the log, None where the peer may send."""
        entity = next((entity for entity in self.entities if entity.ae_title == proposal.called), None)
        if entity is None:
            return Rejection.CALLED_NOT_RECOGNIZED, f"this host has no AE title {proposal.called!r}"
        if entity.allow and proposal.calling not in entity.allow:
            return Rejection.CALLING_NOT_RECOGNIZED, f"{proposal.calling} is not in allow of {entity.ae_title}"
        for sender in self.senders:
            is_bound = sender.certificate and sender.ae_title == proposal.calling
            if is_bound and (certificate is None or not certificate.matches(sender.certificate)):
                return Rejection.CALLING_NOT_RECOGNIZED, "its certificate is not the one in [[sender]]"
        owners = self._owners(certificate)
        if owners and proposal.calling not in owners:
            reason = f"its certificate is bound to {', '.join(sorted(owners))} and not to {proposal.calling}"
            return Rejection.CALLING_NOT_RECOGNIZED, reason
        return None

    def _owners(self, certificate: Certificate | None) -> set[str]:
        """Return the AE titles that this certificate is bound to."""
        bound = [sender for sender in self.senders if sender.certificate]
        return {sender.ae_title for sender in bound if certificate and certificate.matches(sender.certificate)}


def _names(fields: Any) -> list[str]:  # Any: a tree of tuples that the ssl module does not type
    subject = {name: value for part in fields.get("subject", ()) for name, value in part}
    alternative = [value for kind, value in fields.get("subjectAltName", ()) if kind == "DNS"]
    common = subject.get("commonName")
    return [name.lower() for name in ([common] if common else []) + alternative]
