"""The role ``receiver``: receives images from senders into the spool."""

from __future__ import annotations

import logging
import os
from datetime import timedelta

from orchestrator.app.installation.paths import notification_socket_of, pending_reports_of, spool_of
from orchestrator.app.service.shutdown import Stop
from orchestrator.archive import Commitments, Credentials, Entity, KnownSender, Notifier, Receiver
from orchestrator.config import SenderSettings, Settings
from orchestrator.domain.errors import OrchestratorError
from orchestrator.network.tls import TlsFiles

log = logging.getLogger(__name__)


def receive(settings: Settings) -> None:
    """Receive images until the process is told to stop.

    Raises OrchestratorError if it cannot listen. The supervisor retries: an earlier process may free the port soon.
    """
    stop, notifier = Stop(), Notifier(notification_socket_of(settings))
    receiver = receiver_of(settings, notifier)
    try:
        receiver.start()
    except OSError as fault:
        tls = f" or {settings.receiver_tls.port}" if settings.receiver_tls.enabled else ""
        where = f"{settings.receiver.host} port {settings.receiver.port}{tls}"
        raise OrchestratorError(
            f"the receiver cannot listen on {where} ({os.strerror(fault.errno or 0)}); check [receiver] host and port"
        ) from None
    titles = [settings.receiver.ae_title, *(entity.ae_title for entity in settings.entities)]
    ports = {"port %d": receiver.port, "port %d (TLS)": receiver.tls_port}
    addresses = [text % port for text, port in ports.items() if port]
    log.info("receiving as %s on %s", ", ".join(titles), " and ".join(addresses))
    while not stop.wait(1.0):
        pass
    receiver.stop()
    notifier.close()


def receiver_of(settings: Settings, notifier: Notifier) -> Receiver:
    """Return the receiver of the settings; it notifies the engine of each arrival.

    Raises SettingsError if a TLS file cannot be used.
    """
    options, tls = settings.receiver, settings.receiver_tls
    return Receiver(
        spool_of(settings),
        entities=entities_of(settings),
        senders=[known_of(sender, settings) for sender in settings.senders],
        accept=options.accept,
        host=options.host,
        port=None if tls.replaces_plain else options.port,
        tls=credentials_of(settings),
        tls_port=tls.port,
        pending_reports=pending_reports_of(settings),
        commitment=options.commitment,
        report_seconds=timedelta(days=settings.data.retain_days).total_seconds(),  # the images may be deleted then
        commitments=Commitments(settings.data.folder / "commitments"),
        maximum_pdu=options.maximum_pdu,
        maximum_associations=options.maximum_associations,
        maximum_per_sender=options.maximum_per_sender,
        maximum_waiting=options.maximum_waiting,
        association_seconds=options.request_seconds,
        idle_seconds=options.idle_seconds,
        on_stored=notifier.notify,
        on_closed=notifier.notify,
    )


def entities_of(settings: Settings) -> list[Entity]:
    """Return the AE titles of this host; an entity without ``allow`` accepts the senders of the receiver."""
    options = settings.receiver
    entities = [Entity(item.ae_title, frozenset(item.allow or options.allow)) for item in settings.entities]
    return [Entity(options.ae_title, frozenset(options.allow)), *entities]


def known_of(sender: SenderSettings, settings: Settings) -> KnownSender:
    """Return a sender of the settings for the receiver."""
    files = settings.receiver_tls
    tls = TlsFiles(ca_file=files.ca_file, certificate_file=files.certificate_file, key_file=files.key_file)
    return KnownSender(
        ae_title=sender.ae_title,
        certificate=sender.certificate,
        host=sender.host or "",
        port=sender.port,
        tls=tls if sender.tls else None,
    )


def credentials_of(settings: Settings) -> Credentials | None:
    """Return certificate and authorities of the TLS port, None if TLS is off.

    Raises SettingsError if a file cannot be used.
    """
    tls = settings.receiver_tls
    if not tls.enabled or tls.certificate_file is None or tls.key_file is None:
        return None
    return Credentials(tls.certificate_file, tls.key_file, tls.ca_file, require_certificate=tls.require_certificate)
