"""OHIF beside the pages: the viewer and the archive that it shows, as the settings name them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.archive import dicomweb_peer
from orchestrator.config import RemoteSettings, Settings
from orchestrator.domain.errors import SettingsError
from orchestrator.web import Ohif

if TYPE_CHECKING:
    from orchestrator.archive.http.client import HttpPeer

log = logging.getLogger(__name__)


@contextmanager
def ohif_of(settings: Settings) -> Iterator[Ohif | None]:
    """Give the viewer, None where the settings name none or no archive that it could show.

    Raises SettingsError where the folder or the archive is not what they say.
    """
    folder, peer = settings.web.viewer, shown_archive(settings)
    if folder is None:
        yield None
    elif peer is None:
        log.warning("OHIF is not served: no [[archive]] or [[destination]] has a url dicomweb+... or orthanc+...")
        yield None
    else:
        with peer.session() as session:
            yield Ohif.of(folder, session)


def shown_archive(settings: Settings) -> HttpPeer | None:
    """Return the way to the archive that the viewer shows: the one that is named, else the first by DICOMweb.

    Raises SettingsError where the one that is named is not there or has no DICOMweb.
    """
    wanted = settings.web.viewer_archive
    for item in (*settings.archives, *settings.destinations):
        if wanted in ("", item.name) and (peer := _peer(item)) is not None:
            return peer
    if wanted:
        raise SettingsError(
            f"[web] viewer_archive: no [[archive]] or [[destination]] named {wanted!r} has a url "
            "dicomweb+https://... or orthanc+http://..."
        )
    return None


def answers(settings: Settings, folder: Path) -> str:
    """Return in words that the viewer can work.

    Raises SettingsError, ArchiveError.
    """
    peer = shown_archive(settings)
    if peer is None:
        raise SettingsError("no [[archive]] or [[destination]] has a url dicomweb+... or orthanc+...")
    with peer.session() as session:
        Ohif.of(folder, session)
        session.json("GET", "/studies", params={"StudyInstanceUID": "1.2.3", "limit": 1})
    return f"OHIF shows {peer}"


def _peer(item: RemoteSettings) -> HttpPeer | None:
    from orchestrator.archive.http.client import Access  # loads what speaks HTTP

    access = Access(
        username=item.username,
        password=item.password.get_secret_value(),
        ca_file=item.ca_file,
        certificate_file=item.certificate_file,
        key_file=item.key_file,
        timeout_seconds=item.timeout_seconds,
    )
    return dicomweb_peer(item.url, name=item.name, access=access)
