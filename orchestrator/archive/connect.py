"""Makes the archive object for an archive's URL."""

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
    from orchestrator.archive.dimse import DimseArchive, DimseOptions
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

    ae_title: the title of this host in the archive. ask: False for an archive that answers no queries.
    timeout_seconds: limit for one answer of the archive.
    ca_file, certificate_file, key_file: PEM files for TLS. username, password: HTTP login.
    retrieve: "get" or "move". move_to: AE title of this host's receiver.
    folder: data folder of this host, for storage commitment results that arrive later.
    Raises UserError where the URL is invalid.
    """
    if not _AE_TITLE.fullmatch(ae_title.strip()):
        raise UserError(f"{ae_title!r} is not an AE title: use at most 16 ASCII characters, no backslash")
    parts = urlsplit(url)
    if parts.scheme in ("dimse", "dimse+tls"):
        from orchestrator.archive.dimse import DimseOptions

        tls = TlsFiles(ca_file=ca_file, certificate_file=certificate_file, key_file=key_file)
        options = DimseOptions(ask=ask, retrieve=retrieve, move_to=move_to, commitments=_commitments(folder))
        tls_files = tls if parts.scheme == "dimse+tls" else None
        return _dimse(name, _dimse_address(url, parts), ae_title, timeout_seconds, tls_files, options)
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
        return _http_archive(name, parts.scheme, _http_root(url, parts), access)
    raise UserError(f"archive {name!r}: {url!r} has no known scheme; use one of {', '.join(SCHEMES.values())}")


def dicomweb_peer(url: str, *, name: str, access: Access) -> HttpPeer | None:
    """Return the HTTP peer of the archive's DICOMweb service, None where the archive has none.

    Orthanc's plugin serves it below /dicom-web by default.
    Raises UserError where the URL is invalid.
    """
    parts = urlsplit(url)
    if not parts.scheme.startswith(_BY_DICOMWEB):
        return None
    from orchestrator.archive.http.client import HttpPeer

    root = _http_root(url, parts).rstrip("/") + ("/dicom-web" if parts.scheme.startswith("orthanc") else "")
    return HttpPeer(name, root, access)


def _dimse(
    name: str,
    address: tuple[str, str, int],
    ae_title: str,
    timeout_seconds: float,
    tls: TlsFiles | None,
    options: DimseOptions,
) -> DimseArchive:
    from orchestrator.archive.dimse import DimseArchive, Peer

    if options.retrieve == "move" and not options.move_to:
        raise UserError(f'archive {name!r}: retrieve = "move" needs a receiver: enable it, or set move_to')
    return DimseArchive(Peer(name, *address, ae_title=ae_title, timeout_seconds=timeout_seconds, tls=tls), options)


def _commitments(folder: Path | None) -> Commitments | None:
    from orchestrator.archive.commitment.transactions import Commitments

    return Commitments(folder / "commitments") if folder else None


def _http_archive(name: str, scheme: str, root: str, access: Access) -> DicomwebArchive | OrthancArchive:
    from orchestrator.archive.dicomweb.archive import DicomwebArchive
    from orchestrator.archive.orthanc import OrthancArchive

    return DicomwebArchive(name, root, access) if scheme.startswith("dicomweb") else OrthancArchive(name, root, access)


def _dimse_address(url: str, parts: SplitResult) -> tuple[str, str, int]:
    try:
        port = parts.port
    except ValueError:
        port = None
    title = unquote(parts.username or "").strip()
    if not port or not parts.hostname or not _AE_TITLE.fullmatch(title) or parts.path.strip("/"):
        raise UserError(
            f"{url!r} is not the address of an archive: write {parts.scheme}://AET@host:port, "
            f"such as {parts.scheme}://PACS@10.0.0.5:104"
        )
    return title, parts.hostname, port


def _http_root(url: str, parts: SplitResult) -> str:
    """Return the URL without the prefix before ``http``."""
    try:
        parts.port  # noqa: B018  # raises where the port is not a number
    except ValueError:
        raise UserError(f"the port of {url!r} is not a number") from None
    if not parts.hostname or parts.username or parts.query or parts.fragment:
        raise UserError(
            f"{url!r} is not the address of an archive: write {SCHEMES[parts.scheme]}, without user or query"
        )
    return url.partition("+")[2]


def _folder(url: str, parts: SplitResult) -> Path:
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise UserError(f"{url!r} is not a folder on this machine: write file:///folder, with three slashes")
    return Path(unquote(parts.path))
