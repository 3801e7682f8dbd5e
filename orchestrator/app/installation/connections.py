"""Opens the models and archives of the settings. Imports little, so that small commands start quickly."""

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
"""The built-in plugins of the host."""


def start_workers(settings: Settings, servers: ModelServers | None = None) -> Workers:
    """Return the models of the settings and of installed plugins, each described by its own process.

    servers: clients of model servers. Default: those of the settings, which record calls in the log only.
    """
    sources = discover([models_folder(), *settings.models.folders], settings.models.plugins)
    return Workers(
        sources,
        sandbox=settings.worker.sandbox,
        weights=settings.models.weights,
        devices=find_devices(settings.worker.devices),
        servers=servers or model_servers(settings),
    )


def log_refused_plugins(workers: Workers) -> None:
    """Log a warning for each plugin and model folder with a fault."""
    for listing in workers.listing():
        if listing.error:
            log.warning("plugin %s not loaded (%s); correct or remove %s", listing.name, listing.error, listing.origin)


def load_plugins(workers: Workers) -> HostPlugins:
    """Return the built-in and the installed plugins.

    Raises PluginError if two plugins declare the same fact.
    """
    return HostPlugins.load(workers.listing(), BUILT_IN)


def list_plugins(workers: Workers) -> tuple[PluginListing, ...]:
    """Return every plugin and model folder, with the error if it did not load."""
    _, host_plugins = load_all(workers.listing(), BUILT_IN)
    by_origin = {(plugin.name, plugin.origin): plugin for plugin in host_plugins}
    rest = [by_origin.pop((plugin.name, plugin.origin), plugin) for plugin in workers.listing()]
    return (*by_origin.values(), *rest)


def open_archive(item: RemoteSettings, plugins: HostPlugins, settings: Settings) -> Archive:
    """Return the archive at the URL of the item. Plugin schemes take precedence over built-in ones.

    Raises UserError if the scheme is unknown, PluginError if a plugin fails.
    """
    options = {
        "name": item.name,
        "ae_title": item.ae_title,
        "timeout_seconds": item.timeout_seconds,
        "ca_file": item.ca_file,
        "certificate_file": item.certificate_file,
        "key_file": item.key_file,
        "username": item.username,
        "password": item.password.get_secret_value(),
        "folder": settings.data.folder,
        **_retrieve_options(item, settings.receiver),
    }
    archive = plugins.connect_archive(item.url, options)
    if archive is None:
        schemes = ", ".join(SCHEMES.values())
        raise UserError(f"archive {item.name!r}: unknown scheme in the url {item.url!r}; use one of {schemes}")
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
    """Yield the archives with ``watch = true``; ``is_read_in_place`` says who watches each.

    Raises UserError, PluginError.
    """
    for item in settings.archives:
        if item.watch:
            yield item, open_archive(item, plugins, settings)


def find_searchable(settings: Settings, plugins: HostPlugins, name: str) -> tuple[SearchedArchive, ArchiveSettings]:
    """Return an archive that supports queries and retrieval, with its settings.

    Raises UserError if there is no such archive, SettingsError if it does not support both.
    """
    item = next((item for item in settings.archives if item.name == name), None)
    if item is None:
        names = ", ".join(item.name for item in settings.archives) or "none"
        raise UserError(f"the settings have no [[archive]] named {name!r}; there are: {names}")
    archive = open_archive(item, plugins, settings)
    if not isinstance(archive, Searchable) or not isinstance(archive, Readable):
        raise SettingsError(f"archive {name!r} does not support query and retrieve; use an archive that does")
    return archive, item


def _retrieve_options(item: RemoteSettings, receiver: ReceiverSettings) -> dict[str, str]:
    """Return the options for retrieval. The default target of a C-MOVE is the receiver of this host, if enabled."""
    if not isinstance(item, ArchiveSettings):
        return {"retrieve": "get", "move_to": ""}
    own_title = receiver.ae_title if receiver.enabled else ""
    return {"retrieve": item.retrieve, "move_to": item.move_to or own_title}
