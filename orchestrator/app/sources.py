"""What the settings point at: models and archives; light to load, so that small commands start quickly."""

from __future__ import annotations

from orchestrator.app.model_servers import model_servers
from orchestrator.app.shipped import models_folder
from orchestrator.archive import connect
from orchestrator.config import RemoteSettings, Settings
from orchestrator.domain.ports import Archive
from orchestrator.domain.remote import ModelServers
from orchestrator.hooks import HostPlugins
from orchestrator.worker import Workers, discover, offered


def start_workers(settings: Settings, servers: ModelServers | None = None) -> Workers:
    """Return the models that the settings and the installed plugins name, each described by its own process.

    servers: the way to model servers; by default what the settings allow, recorded in the log only.
    """
    sources = discover([models_folder(), *settings.models.folders], settings.models.plugins)
    return Workers(
        sources,
        sandbox=settings.worker.sandbox,
        weights=settings.models.weights,
        devices=offered(settings.worker.devices),
        servers=servers or model_servers(settings),
    )


def connected(item: RemoteSettings, plugins: HostPlugins) -> Archive:
    """Return the archive behind a URL; a plugin's scheme goes before ours."""
    told = {
        "name": item.name,
        "ae_title": item.ae_title,
        "username": item.username,
        "password": item.password.get_secret_value(),
    }
    return plugins.connect_archive(item.url, told) or connect(item.url, name=item.name, ae_title=item.ae_title)
