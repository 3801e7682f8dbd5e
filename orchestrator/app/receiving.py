"""The role ``receiver``: takes what senders push, into the spool."""

from __future__ import annotations

import logging
import os

from orchestrator.app.places import doorbell_of, spool_of
from orchestrator.app.stopping import Stop
from orchestrator.archive import Receiver, Ringer
from orchestrator.config import Settings
from orchestrator.domain.errors import OrchestratorError

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
        where = f"{settings.receiver.host} port {settings.receiver.port}"
        raise OrchestratorError(f"the receiver cannot listen on {where}: {os.strerror(fault.errno or 0)}") from None
    log.info("receiving as %s on port %d", settings.receiver.ae_title, receiver.port)
    while not stop.wait(1.0):
        pass
    receiver.stop()
    ringer.close()


def receiver_of(settings: Settings, ringer: Ringer) -> Receiver:
    """Return the receiver that the settings describe; it rings for each arrival."""
    told = settings.receiver
    return Receiver(
        spool_of(settings),
        ae_title=told.ae_title,
        host=told.host,
        port=told.port,
        allow=told.allow,
        maximum_pdu=told.maximum_pdu,
        maximum_associations=told.maximum_associations,
        maximum_waiting=told.maximum_waiting,
        association_seconds=told.request_seconds,
        idle_seconds=told.idle_seconds,
        on_stored=ringer.ring,
        on_closed=ringer.ring,
    )
