"""What the settings point at: models and archives; light to load, so that small commands start quickly."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeGuard

from orchestrator.app.installation import log_plugin
from orchestrator.app.installation.model_servers import model_servers
from orchestrator.app.installation.shipped_models import models_folder
from orchestrator.archive import SCHEMES, FolderArchive, hook
from orchestrator.config import ArchiveSettings, ReceiverSettings, RemoteSettings, Settings
from orchestrator.domain.errors import SettingsError, UserError
from orchestrator.domain.plugin import PluginListing
from orchestrator.domain.ports import Archive, Readable, Searchable
from orchestrator.domain.remote import ModelServers
from orchestrator.hooks import HostPlugins, load_all
from orchestrator.worker import Workers, discover, find_devices

if TYPE_CHECKING:
    from orchestrator.pipeline.fetching.backfill import SearchedArchive

log = logging.getLogger(__name__)

BUILT_IN = {"archives": hook, "notices": log_plugin}
"""What the host does through the hooks that everybody has."""


def start_workers(settings: Settings, servers: ModelServers | None = None) -> Workers:
    """Return the models that the settings and the installed plugins name, each described by its own process.

    servers: the way to model servers; by default what the settings allow, recorded in the log only.
    """
    sources = discover([models_folder(), *settings.models.folders], settings.models.plugins)
    return Workers(
        sources,
        sandbox=settings.worker.sandbox,
        weights=settings.models.weights,
        devices=find_devices(settings.worker.devices),
        servers=servers or model_servers(settings),
    )


def tell_refused(workers: Workers) -> None:
    """Log a warning for each plugin and model folder that cannot be used."""
    for listing in workers.listing():
        if listing.error:
            log.warning("plugin %s of %s is refused: %s", listing.name, listing.origin, listing.error)


def load_plugins(workers: Workers) -> HostPlugins:
    """Return the host's own plugins and those of others.

    Raises PluginError where two of them declare one fact.
    """
    return HostPlugins.load(workers.listing(), BUILT_IN)


def plugin_listing(workers: Workers) -> tuple[PluginListing, ...]:
    """Return every plugin and model folder, with what went wrong when the host loaded it too."""
    _, loaded = load_all(workers.listing(), BUILT_IN)
    known = {(plugin.name, plugin.origin): plugin for plugin in loaded}
    rest = [known.pop((plugin.name, plugin.origin), plugin) for plugin in workers.listing()]
    return (*known.values(), *rest)


def connected(item: RemoteSettings, plugins: HostPlugins, settings: Settings) -> Archive:
    """Return the archive behind a URL; a plugin's scheme goes before ours.

    Raises UserError where nobody knows the scheme, PluginError.
    """
    told = {
        "name": item.name,
        "ae_title": item.ae_title,
        "timeout_seconds": item.timeout_seconds,
        "ca_file": item.ca_file,
        "certificate_file": item.certificate_file,
        "key_file": item.key_file,
        "username": item.username,
        "password": item.password.get_secret_value(),
        "folder": settings.data.folder,
        **_retrieving(item, settings.receiver),
    }
    archive = plugins.connect_archive(item.url, told)
    if archive is None:
        known = ", ".join(SCHEMES.values())
        raise UserError(f"archive {item.name!r}: {item.url!r} has no known scheme; there are {known}")
    return archive


def is_read_in_place(archive: Archive) -> TypeGuard[FolderArchive]:
    """Return whether the engine itself watches the archive and reads its files where they are.

    Every other archive belongs to the watcher, which fetches series into the spool. Folders stay with the engine for
    two reasons. A site's own files are not copied, and retention, which deletes in the spool only, never deletes them.
    And a notification between processes may be lost: a scan of the spool finds a pushed file again, but no scan would
    find a file outside it. The engine's own watch needs no notification and starts with the engine.
    """
    return isinstance(archive, FolderArchive)


def watched_archives(settings: Settings, plugins: HostPlugins) -> Iterator[tuple[ArchiveSettings, Archive]]:
    """Yield the archives that the settings watch; ``is_read_in_place`` says who watches each.

    Raises UserError, PluginError.
    """
    for item in settings.archives:
        if item.watch:
            yield item, connected(item, plugins, settings)


def past_archive(settings: Settings, plugins: HostPlugins, name: str) -> tuple[SearchedArchive, ArchiveSettings]:
    """Return an archive that can be asked what it holds and hands it out.

    Raises UserError where the settings name none, SettingsError where it cannot.
    """
    item = next((item for item in settings.archives if item.name == name), None)
    if item is None:
        known = ", ".join(item.name for item in settings.archives) or "none"
        raise UserError(f"the settings have no [[archive]] named {name!r}; there are: {known}")
    archive = connected(item, plugins, settings)
    if not isinstance(archive, Searchable) or not isinstance(archive, Readable):
        raise SettingsError(f"archive {name!r} cannot be asked what it holds and for its images")
    return archive, item


def _retrieving(item: RemoteSettings, receiver: ReceiverSettings) -> dict[str, str]:
    """Return how images come from it; a C-MOVE brings them to our receiver, where there is one."""
    if not isinstance(item, ArchiveSettings):
        return {"retrieve": "get", "move_to": ""}
    ours = receiver.ae_title if receiver.enabled else ""
    return {"retrieve": item.retrieve, "move_to": item.move_to or ours}
