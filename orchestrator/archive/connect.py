"""From an archive's URL to the archive."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

from orchestrator.domain.errors import UserError

if TYPE_CHECKING:
    from orchestrator.archive.dimse import DimseArchive
    from orchestrator.archive.folder import FolderArchive

_AE_TITLE = re.compile(r"[ -\[\]-~]{1,16}")  # PS3.5 6.2: 16 characters of ASCII, no backslash
SCHEMES = {"dimse": "dimse://AET@host:port", "file": "file:///folder"}


def connect(
    url: str, *, name: str, ae_title: str = "ORCHESTRATOR", ask: bool = True, timeout_seconds: float = 30.0
) -> DimseArchive | FolderArchive:
    """Return the archive; nothing is sent to it yet.

    ae_title: ours, as the archive knows it. ask: False for one that takes objects and answers no query.
    timeout_seconds: how long one answer of the archive may take.
    Raises UserError where the URL does not name an archive.
    """
    if not _AE_TITLE.fullmatch(ae_title.strip()):
        raise UserError(f"{ae_title!r} is no AE title: up to 16 characters of ASCII without backslash")
    parts = urlsplit(url)
    if parts.scheme == "dimse":
        from orchestrator.archive.dimse import DimseArchive

        called, host, port = _dimse_address(url, parts)
        return DimseArchive(name, called, host, port, ae_title=ae_title, ask=ask, timeout_seconds=timeout_seconds)
    if parts.scheme == "file":
        from orchestrator.archive.folder import FolderArchive

        return FolderArchive(name, _folder(url, parts))
    raise UserError(f"archive {name!r}: {url!r} has no known scheme; there are {' and '.join(SCHEMES.values())}")


def _dimse_address(url: str, parts: SplitResult) -> tuple[str, str, int]:
    try:
        port = parts.port
    except ValueError:
        port = None
    called = unquote(parts.username or "").strip()
    if not port or not parts.hostname or not _AE_TITLE.fullmatch(called) or parts.path.strip("/"):
        raise UserError(
            f"{url!r} is no address of an archive: write dimse://AET@host:port, as in dimse://PACS@10.0.0.5:104"
        )
    return called, parts.hostname, port


def _folder(url: str, parts: SplitResult) -> Path:
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise UserError(f"{url!r} is no folder on this machine: write file:///folder, with three slashes")
    return Path(unquote(parts.path))
