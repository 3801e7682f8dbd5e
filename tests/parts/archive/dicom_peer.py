"""A DICOM peer that answers as a test tells it to, by pynetdicom, on a free loopback port."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt

from orchestrator.archive import connect
from orchestrator.archive.dimse import DimseArchive
from tests.parts.archive.dcmtk import free_port

_PLAIN: Sequence[str | UID] = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
Handlers = dict[Any, Callable[..., Any]]


@contextmanager
def peer_that(
    handlers: Handlers,
    *sop_classes: str,
    sends: Sequence[str] = (),
    syntaxes: Sequence[str | UID] = _PLAIN,
    tls: ssl.SSLContext | None = None,
    **options: Any,
) -> Iterator[str]:
    """Yield the URL of a peer for the SOP classes that answers as told.

    sends: SOP classes that it sends on the requester's own association (C-GET). syntaxes: in which it takes
    and sends objects. options: attributes of its pynetdicom AE.
    """
    entity = AE("PEER")
    for name, setting in options.items():
        setattr(entity, name, setting)
    for sop_class in sop_classes:
        entity.add_supported_context(sop_class, list(syntaxes))
    for sop_class in sends:
        entity.add_supported_context(sop_class, list(syntaxes), scu_role=False, scp_role=True)
    port = free_port()
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=list(handlers.items()), ssl_context=tls)
    assert server is not None
    try:
        yield f"dimse{'+tls' if tls else ''}://PEER@127.0.0.1:{port}"
    finally:
        server.shutdown()


@dataclass(slots=True)
class ScriptedPeer:
    """A peer for one module of tests; ``script`` is what it does now, by kind of event."""

    url: str = ""
    script: Handlers = field(default_factory=dict)

    def answer(self, event: evt.Event) -> Any:
        """Return what the script says to the event."""
        return self.script[event.event](event)


@contextmanager
def scripted_peer(*sop_classes: str, sends: Sequence[str] = (), **options: Any) -> Iterator[ScriptedPeer]:
    """Yield a running peer, which is made as that of ``peer_that``."""
    peer = ScriptedPeer()
    kinds = (evt.EVT_C_FIND, evt.EVT_C_GET, evt.EVT_C_MOVE, evt.EVT_C_STORE, evt.EVT_N_ACTION)
    with peer_that(dict.fromkeys(kinds, peer.answer), *sop_classes, sends=sends, **options) as url:
        peer.url = url
        yield peer


def connected(url: str, **options: Any) -> DimseArchive:
    """Return the archive as the host would use it."""
    archive = connect(url, name="pacs", **({"timeout_seconds": 30.0} | options))
    assert isinstance(archive, DimseArchive)
    return archive


def answers_of(*answers: dict[str, Any]) -> Callable[[evt.Event], Iterator[tuple[int, Dataset]]]:
    """Return a handler of C-FIND that gives these answers, whatever is asked."""

    def handler(event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        for answer in answers:
            yield 0xFF00, dataset_of(**answer)

    return handler


def dataset_of(**values: Any) -> Dataset:
    """Return a data set of these attributes."""
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset
