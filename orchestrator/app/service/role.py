"""The roles of the service: each runs in its own process."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """A part of the service that runs in its own process."""

    RECEIVER = "receiver"
    ENGINE = "engine"
    WATCHER = "watcher"
    WEB = "web"
