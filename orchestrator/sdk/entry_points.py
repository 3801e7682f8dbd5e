"""Finds installed plugins through entry points, without importing them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from importlib import metadata

GROUP = "orchestrator"


@dataclass(frozen=True, slots=True)
class InstalledPlugin:
    """One plugin that an installed package registers as an entry point.

    value: ``package.module`` or ``package.module:object``; error: why the plugin is refused, empty if it is not.
    """

    name: str
    value: str
    distribution: str
    version: str
    error: str = ""

    @property
    def origin(self) -> str:
        """Where the plugin came from, in words."""
        return f"entry point of {self.distribution} {self.version}"

    @property
    def package(self) -> str:
        """The top-level package of the plugin."""
        return self.value.partition(":")[0].partition(".")[0]


def installed_plugins() -> tuple[InstalledPlugin, ...]:
    """Return all plugins; plugins that share a name are refused, with the distributions in the error."""
    by_name: dict[str, dict[tuple[str, str], InstalledPlugin]] = defaultdict(dict)
    for point in metadata.entry_points(group=GROUP):
        distribution, version = (point.dist.name, point.dist.version) if point.dist else ("?", "?")
        plugin = InstalledPlugin(point.name, point.value, distribution, version)
        by_name[point.name].setdefault((distribution, point.value), plugin)  # the import path may list a folder twice
    return tuple(plugin for same in by_name.values() for plugin in _refuse_duplicates(list(same.values())))


def _refuse_duplicates(same: list[InstalledPlugin]) -> list[InstalledPlugin]:
    if len(same) == 1:
        return same
    owners = " and ".join(sorted(f"{plugin.distribution} {plugin.version}" for plugin in same))
    error = f"{owners} both have a plugin named {same[0].name!r}; uninstall one of them"
    return [InstalledPlugin(p.name, p.value, p.distribution, p.version, error) for p in same]


def load_installed(name: str) -> object:
    """Import and return the installed plugin of that name; only for plugins that the host trusts."""
    (point,) = {(point.name, point.value): point for point in metadata.entry_points(group=GROUP, name=name)}.values()
    return point.load()
