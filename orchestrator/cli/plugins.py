"""``orchestrator plugins``: lists plugins with their origin, hooks and errors."""

from __future__ import annotations

from contextlib import closing

from orchestrator.app.installation.connections import list_plugins, start_workers
from orchestrator.app.installation.settings import settings_of
from orchestrator.cli.show import JsonFlag, SettingsFile, as_json, table


def command(settings: SettingsFile = None, json: JsonFlag = False) -> None:
    """Show every plugin and model folder: name, version, origin, hooks, error."""
    with closing(start_workers(settings_of(settings))) as workers:
        listing = list_plugins(workers)
    if json:
        as_json(listing)
        return
    table(
        ["name", "version", "origin", "hooks", "models", "error"],
        [(p.name, p.version, p.origin, ", ".join(p.hooks), ", ".join(p.models), p.error) for p in listing],
        empty="no plugins",
    )
