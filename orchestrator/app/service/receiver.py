"""The role ``receiver``: takes what senders push, into the spool."""

from __future__ import annotations

import logging
import os
from datetime import timedelta

from orchestrator.app.installation.paths import doorbell_of, owed_of, spool_of
from orchestrator.app.service.shutdown import Stop
from orchestrator.archive import Commitments, Credentials, Entity, Known, Receiver, Ringer
from orchestrator.config import SenderSettings, Settings
from orchestrator.domain.errors import OrchestratorError
from orchestrator.network.tls import TlsFiles

log = logging.getLogger(__name__)


def receive(settings: Settings) -> None:
    """Take what senders push until told to end.

    Raises OrchestratorError where the address is taken; an earlier process may let go of it soon.
    """
    stop, ringer = Stop(), Ringer(doorbell_of(settings))
    receiver = receiver_of(settings, ringer)
    try:
        receiver.start()
    except OSError as fault:
        tls = f" or {settings.receiver_tls.port}" if settings.receiver_tls.enabled else ""
        where = f"{settings.receiver.host} port {settings.receiver.port}{tls}"
        raise OrchestratorError(f"the receiver cannot listen on {where}: {os.strerror(fault.errno or 0)}") from None
    titles = [settings.receiver.ae_title, *(entity.ae_title for entity in settings.entities)]
    ports = {"port %d": receiver.port, "port %d (TLS)": receiver.tls_port}
    taken = [text % port for text, port in ports.items() if port]
    log.info("receiving as %s on %s", ", ".join(titles), " and ".join(taken))
    while not stop.wait(1.0):
        pass
    receiver.stop()
    ringer.close()


def receiver_of(settings: Settings, ringer: Ringer) -> Receiver:
    """Return the receiver that the settings describe; it rings for each arrival.

    Raises SettingsError where files of TLS cannot be used.
    """
    told, tls = settings.receiver, settings.receiver_tls
    return Receiver(
        spool_of(settings),
        entities=entities_of(settings),
        senders=[known_of(sender, settings) for sender in settings.senders],
        accept=told.accept,
        host=told.host,
        port=None if tls.enabled and tls.only else told.port,
        tls=credentials_of(settings),
        tls_port=tls.port,
        owed=owed_of(settings),
        promise=told.commitment,
        report_seconds=timedelta(days=settings.data.retain_days).total_seconds(),  # then it may lie here no more
        commitments=Commitments(settings.data.folder / "commitments"),
        maximum_pdu=told.maximum_pdu,
        maximum_associations=told.maximum_associations,
        maximum_waiting=told.maximum_waiting,
        association_seconds=told.request_seconds,
        idle_seconds=told.idle_seconds,
        on_stored=ringer.ring,
        on_closed=ringer.ring,
    )


def entities_of(settings: Settings) -> list[Entity]:
    """Return the AE titles of this host; one that names no senders has those of the receiver."""
    told = settings.receiver
    further = [Entity(item.ae_title, frozenset(item.allow or told.allow)) for item in settings.entities]
    return [Entity(told.ae_title, frozenset(told.allow)), *further]


def known_of(sender: SenderSettings, settings: Settings) -> Known:
    """Return what the receiver knows of one sender."""
    files = settings.receiver_tls
    tls = TlsFiles(ca_file=files.ca_file, certificate_file=files.certificate_file, key_file=files.key_file)
    return Known(
        ae_title=sender.ae_title,
        certificate=sender.certificate,
        host=sender.host or "",
        port=sender.port,
        tls=tls if sender.tls else None,
    )


def credentials_of(settings: Settings) -> Credentials | None:
    """Return what the TLS port shows and believes, None where there is none.

    Raises SettingsError.
    """
    tls = settings.receiver_tls
    if not tls.enabled or tls.certificate_file is None or tls.key_file is None:
        return None
    return Credentials(tls.certificate_file, tls.key_file, tls.ca_file, require_certificate=tls.require_certificate)
