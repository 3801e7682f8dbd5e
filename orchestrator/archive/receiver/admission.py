"""Who may associate: our AE titles, the senders that each of them takes, and the certificates that prove those."""

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
    """One AE title of this host and the calling AE titles that may send to it; none named = any, on loopback only."""

    ae_title: str = "ORCHESTRATOR"
    allow: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of one sender.

    certificate: its Common Name or a DNS name of it, or ``sha256:`` and its fingerprint in hexadecimal digits;
    empty = not bound to one. host, port: where it takes reports of storage commitment; empty = nowhere.
    tls: what is shown and believed there; None = it speaks no TLS.
    """

    ae_title: str
    certificate: str = ""
    host: str = ""
    port: int = 0
    tls: TlsFiles | None = None


@dataclass(frozen=True, slots=True)
class Certificate:
    """The certificate of a peer that a trusted authority signed. names: Common Name and DNS names, in small letters."""

    names: frozenset[str]
    sha256: str

    @classmethod
    def of(cls, connection: object) -> Certificate | None:
        """Return the peer's certificate, None where the connection is plain or the peer has shown none."""
        if not isinstance(connection, ssl.SSLSocket):
            return None
        encoded, told = connection.getpeercert(binary_form=True), connection.getpeercert()
        if not encoded or not told:
            return None
        return cls(frozenset(_names(told)), hashlib.sha256(encoded).hexdigest())

    def matches(self, wanted: str) -> bool:
        """Return whether this is the certificate that the settings name."""
        kind, _, fingerprint = wanted.partition(":")
        if kind.lower() == "sha256":
            return fingerprint.replace(":", "").lower() == self.sha256
        return wanted.lower() in self.names


@dataclass(frozen=True, slots=True)
class Admission:
    """Decides whether an association is taken."""

    entities: Collection[Entity]
    senders: Collection[Known] = field(default=())

    def rejection(self, proposal: Proposal, certificate: Certificate | None) -> tuple[Rejection, str] | None:
        """Return why the peer is turned away, with the reason in words; None where it is welcome."""
        called = next((entity for entity in self.entities if entity.ae_title == proposal.called), None)
        if called is None:
            return Rejection.CALLED_NOT_RECOGNIZED, "no AE title of this host"
        if called.allow and proposal.calling not in called.allow:
            return Rejection.CALLING_NOT_RECOGNIZED, "it may not send here (allow)"
        for sender in self.senders:
            bound = sender.certificate and sender.ae_title == proposal.calling
            if bound and (certificate is None or not certificate.matches(sender.certificate)):
                return Rejection.CALLING_NOT_RECOGNIZED, "it shows not the certificate that it is bound to"
        return None


def _names(told: Any) -> list[str]:  # Any: a tree of tuples that the ssl module does not type
    subject = {name: value for part in told.get("subject", ()) for name, value in part}
    alternative = [value for kind, value in told.get("subjectAltName", ()) if kind == "DNS"]
    common = subject.get("commonName")
    return [name.lower() for name in ([common] if common else []) + alternative]
