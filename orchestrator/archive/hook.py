"""Offers the built-in archives by the same hook that plugins use for theirs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from orchestrator.archive.connect import SCHEMES, connect
from orchestrator.domain.ports import Archive
from orchestrator.sdk.hookspecs import hookimpl

_KEYS = (
    *("name", "ae_title", "timeout_seconds"),
    *("ca_file", "certificate_file", "key_file", "username", "password"),
    *("retrieve", "move_to", "folder"),
)


@hookimpl
def connect_archive(url: str, settings: Mapping[str, Any]) -> Archive | None:
    """Return the archive for a URL of ``SCHEMES``, None for any other scheme.

    Raises UserError where the URL is invalid.
    """
    if urlsplit(url).scheme not in SCHEMES:
        return None
    return connect(url, **{key: settings[key] for key in _KEYS})
