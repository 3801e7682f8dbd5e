"""What an administrator sees of each plugin."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PluginListing:
    """One plugin: where it came from, which hooks and models it has, or why it is refused.

    path: the file of a plugin that is no installed package; None for an entry point.
    """

    name: str
    version: str
    origin: str
    hooks: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    error: str = ""
    path: str | None = None
