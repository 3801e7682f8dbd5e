"""Loads the settings of a command."""

from __future__ import annotations

from pathlib import Path

from orchestrator.config import Settings, load_settings

DEFAULT_SETTINGS = Path("orchestrator.toml")


def settings_of(path: Path | None) -> Settings:
    """Return the settings of the file, else of ``orchestrator.toml`` in the working directory, else the defaults."""
    if path is None and DEFAULT_SETTINGS.exists():
        path = DEFAULT_SETTINGS
    return load_settings(path)
