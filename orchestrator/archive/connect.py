"""From an archive's URL to the archive."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

from orchestrator.domain.errors import UserError
from orchestrator.network.tls import TlsFiles

if TYPE_CHECKING:
    from orchestrator.archive.commitment.transactions import Commitments
    from orchestrator.archive.dicomweb.archive import DicomwebArchive
    from orchestrator.archive.dimse import DimseArchive, Ways
    from orchestrator.archive.folder import FolderArchive
    from orchestrator.archive.http.client import Access, HttpPeer
    from orchestrator.archive.orthanc import OrthancArchive

_AE_TITLE = re.compile(r"[ -\[\]-~]{1,16}")  # PS3.5 6.2: 16 characters of ASCII, no backslash
_BY_DICOMWEB = ("dicomweb+", "orthanc+")
SCHEMES = {
    "dimse": "dimse://AET@host:port",
    "dimse+tls": "dimse+tls://AET@host:port",
    "file": "file:///folder",
    "dicomweb+http": "dicomweb+http://host:port/path",
    "dicomweb+https": "dicomweb+https://host:port/path",
    "orthanc+http": "orthanc+http://host:port",
    "orthanc+https": "orthanc+https://host:port",
}


def connect(
    url: str,
    *,
    name: str,
    ae_title: str = "ORCHESTRATOR",
    ask: bool = True,
    timeout_seconds: float = 30.0,
    ca_file: Path | None = None,
    certificate_file: Path | None = None,
    key_file: Path | None = None,
    username: str = "",
    password: str = "",
    retrieve: str = "get",
    move_to: str = "",
    folder: Path | None = None,
) -> DicomwebArchive | DimseArchive | FolderArchive | OrthancArchive:
    """Return the archive; nothing is sent to it yet.

    ae_title: ours, as the archive knows it. ask: False for one that takes objects and answers no query.
    timeout_seconds: how long one answer of the archive may take.
    ca_file, certificate_file, key_file: PEM files for TLS; username, password: where it asks for them.
    retrieve: "get" or "move"; move_to: AE title of our receiver. folder: what this host keeps, for answers
    that come later (storage commitment).
    Raises UserError where the URL does not name an archive.
    """
    if not _AE_TITLE.fullmatch(ae_title.strip()):
        raise UserError(f"{ae_title!r} is no AE title: up to 16 characters of ASCII without backslash")
    parts = urlsplit(url)
    if parts.scheme in ("dimse", "dimse+tls"):
        from orchestrator.archive.dimse import Ways

        tls = TlsFiles(ca_file=ca_file, certificate_file=certificate_file, key_file=key_file)
        ways = Ways(ask=ask, retrieve=retrieve, move_to=move_to, commitments=_commitments(folder))
        secured = tls if parts.scheme == "dimse+tls" else None
        return _dimse(name, _dimse_address(url, parts), ae_title, timeout_seconds, secured, ways)
    if parts.scheme == "file":
        from orchestrator.archive.folder import FolderArchive

        return FolderArchive(name, _folder(url, parts))
    if parts.scheme in SCHEMES:
        from orchestrator.archive.http.client import Access

        access = Access(
            username=username,
            password=password,
            ca_file=ca_file,
            certificate_file=certificate_file,
            key_file=key_file,
            timeout_seconds=timeout_seconds,
        )
        return _asked_by_http(name, parts.scheme, _http_root(url, parts), access)
    raise UserError(f"archive {name!r}: {url!r} has no known scheme; there are {', '.join(SCHEMES.values())}")


def dicomweb_peer(url: str, *, name: str, access: Access) -> HttpPeer | None:
    """Return the way to the archive's DICOMweb service, None where its URL names none.

    Orthanc's plugin serves it below /dicom-web, unless it is told otherwise there.
    Raises UserError where the URL does not name an archive.
    """
    parts = urlsplit(url)
    if not parts.scheme.startswith(_BY_DICOMWEB):
        return None
    from orchestrator.archive.http.client import HttpPeer

    root = _http_root(url, parts).rstrip("/") + ("/dicom-web" if parts.scheme.startswith("orthanc") else "")
    return HttpPeer(name, root, access)


def _dimse(
    name: str, address: tuple[str, str, int], ae_title: str, timeout_seconds: float, tls: TlsFiles | None, ways: Ways
) -> DimseArchive:
    from orchestrator.archive.dimse import DimseArchive, Peer

    if ways.retrieve == "move" and not ways.move_to:
        raise UserError(f'archive {name!r}: retrieve = "move" needs a receiver here: enable it, or name its move_to')
    return DimseArchive(Peer(name, *address, ae_title=ae_title, timeout_seconds=timeout_seconds, tls=tls), ways)


def _commitments(folder: Path | None) -> Commitments | None:
    from orchestrator.archive.commitment.transactions import Commitments

    return Commitments(folder / "commitments") if folder else None


def _asked_by_http(name: str, scheme: str, root: str, access: Access) -> DicomwebArchive | OrthancArchive:
    from orchestrator.archive.dicomweb.archive import DicomwebArchive
    from orchestrator.archive.orthanc import OrthancArchive

    return DicomwebArchive(name, root, access) if scheme.startswith("dicomweb") else OrthancArchive(name, root, access)


def _dimse_address(url: str, parts: SplitResult) -> tuple[str, str, int]:
    try:
        port = parts.port
    except ValueError:
        port = None
    called = unquote(parts.username or "").strip()
    if not port or not parts.hostname or not _AE_TITLE.fullmatch(called) or parts.path.strip("/"):
        raise UserError(
            f"{url!r} is no address of an archive: write {parts.scheme}://AET@host:port, as in {parts.scheme}://PACS@10.0.0.5:104"
        )
    return called, parts.hostname, port


def _http_root(url: str, parts: SplitResult) -> str:
    """Return the address without what stands before ``http``."""
    try:
        parts.port  # noqa: B018  # raises for one that is no number
    except ValueError:
        raise UserError(f"{url!r} has no port that is a number") from None
    if not parts.hostname or parts.username or parts.query or parts.fragment:
        raise UserError(f"{url!r} is no address of an archive: write {SCHEMES[parts.scheme]}, without user or query")
    return url.partition("+")[2]


def _folder(url: str, parts: SplitResult) -> Path:
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise UserError(f"{url!r} is no folder on this machine: write file:///folder, with three slashes")
    return Path(unquote(parts.path))
