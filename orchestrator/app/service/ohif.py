"""The viewer OHIF beside the review pages, and the archive that it shows."""

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
def open_ohif(settings: Settings) -> Iterator[Ohif | None]:
    """Give the viewer, None if the settings have no viewer or no archive for it.

    Raises SettingsError if the folder contains no viewer or the archive cannot be used.
    """
    folder, peer = settings.web.viewer, find_archive(settings)
    if folder is None:
        yield None
    elif peer is None:
        log.warning(
            "viewer OHIF not available (no [[archive]] or [[destination]] has a url dicomweb+... or orthanc+...)"
        )
        yield None
    else:
        with peer.session() as session:
            yield Ohif.of(folder, session)


def find_archive(settings: Settings) -> HttpPeer | None:
    """Return the archive for the viewer: ``viewer_archive`` of the settings, else the first one with DICOMweb.

    Raises SettingsError if ``viewer_archive`` does not exist or has no DICOMweb.
    """
    name = settings.web.viewer_archive
    for item in (*settings.archives, *settings.destinations):
        if name in ("", item.name) and (peer := _peer(item)) is not None:
            return peer
    if name:
        raise SettingsError(
            f"[web] viewer_archive: no [[archive]] or [[destination]] named {name!r} has a url "
            "dicomweb+https://... or orthanc+http://..."
        )
    return None


def check_ohif(settings: Settings, folder: Path) -> str:
    """Test the viewer and query its archive; return a sentence for ``doctor``.

    Raises SettingsError if the viewer cannot be served, ArchiveError if the archive does not answer.
    """
    peer = find_archive(settings)
    if peer is None:
        raise SettingsError("no [[archive]] or [[destination]] has a url dicomweb+... or orthanc+...")
    with peer.session() as session:
        Ohif.of(folder, session)
        session.json("GET", "/studies", params={"StudyInstanceUID": "1.2.3", "limit": 1})
    return f"OHIF shows {peer}"


def _peer(item: RemoteSettings) -> HttpPeer | None:
    from orchestrator.archive.http.client import Access  # slow: imports the HTTP client

    access = Access(
        username=item.username,
        password=item.password.get_secret_value(),
        ca_file=item.ca_file,
        certificate_file=item.certificate_file,
        key_file=item.key_file,
        timeout_seconds=item.timeout_seconds,
    )
    return dicomweb_peer(item.url, name=item.name, access=access)
