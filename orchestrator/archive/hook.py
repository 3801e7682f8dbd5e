"""The archives that come with the host, offered by the hook that an outsider's archive uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from orchestrator.archive.connect import SCHEMES, connect
from orchestrator.domain.ports import Archive
from orchestrator.sdk.hookspecs import hookimpl

_TOLD = (
    *("name", "ae_title", "timeout_seconds"),
    *("ca_file", "certificate_file", "key_file", "username", "password"),
    *("retrieve", "move_to", "folder"),
)


@hookimpl
def connect_archive(url: str, settings: Mapping[str, Any]) -> Archive | None:
    """Return the archive for one of ``SCHEMES``, None for any other scheme.

    Raises UserError where the URL does not name an archive.
    """
    if urlsplit(url).scheme not in SCHEMES:
        return None
    return connect(url, **{key: settings[key] for key in _TOLD})
