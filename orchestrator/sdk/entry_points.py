"""Which plugins are installed, without importing any of them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from importlib import metadata

GROUP = "orchestrator"


@dataclass(frozen=True, slots=True)
class InstalledPlugin:
    """An entry point.

    value: ``package.module`` or ``package.module:object``; error: why it is refused, else empty.
    """

    name: str
    value: str
    distribution: str
    version: str
    error: str = ""

    @property
    def origin(self) -> str:
        """Where it came from, for people."""
        return f"entry point of {self.distribution} {self.version}"

    @property
    def package(self) -> str:
        """The outermost package that it lies in."""
        return self.value.partition(":")[0].partition(".")[0]


def installed_plugins() -> tuple[InstalledPlugin, ...]:
    """Return all entry points of the group; those that share a name are refused, naming each distribution."""
    found: dict[str, dict[tuple[str, str], InstalledPlugin]] = defaultdict(dict)
    for point in metadata.entry_points(group=GROUP):
        distribution, version = (point.dist.name, point.dist.version) if point.dist else ("?", "?")
        plugin = InstalledPlugin(point.name, point.value, distribution, version)
        found[point.name].setdefault((distribution, point.value), plugin)  # once, though a path may be listed twice
    return tuple(plugin for same in found.values() for plugin in _refused(list(same.values())))


def _refused(same: list[InstalledPlugin]) -> list[InstalledPlugin]:
    if len(same) == 1:
        return same
    owners = " and ".join(sorted(f"{plugin.distribution} {plugin.version}" for plugin in same))
    error = f"the plugin name {same[0].name!r} is used by {owners}; uninstall one"
    return [InstalledPlugin(p.name, p.value, p.distribution, p.version, error) for p in same]


def load_installed(name: str) -> object:
    """Import the installed plugin of that name and return it; only for plugins that the host trusts."""
    (point,) = {(point.name, point.value): point for point in metadata.entry_points(group=GROUP, name=name)}.values()
    return point.load()
