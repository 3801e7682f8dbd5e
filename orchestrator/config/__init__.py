"""Settings from a file, the environment and secret files; checked when read, then immutable."""

from orchestrator.config.loading import load_settings
from orchestrator.config.receiving import EntitySettings, ReceiverSettings, ReceiverTlsSettings, SenderSettings
from orchestrator.config.remote import ArchiveSettings, DestinationSettings, RemoteSettings
from orchestrator.config.settings import (
    DataSettings,
    EgressSettings,
    EngineSettings,
    ModelsSettings,
    RulesSettings,
    Settings,
    WebSettings,
    WorkerSettings,
)

__all__ = [
    "ArchiveSettings",
    "DataSettings",
    "DestinationSettings",
    "EgressSettings",
    "EngineSettings",
    "EntitySettings",
    "ModelsSettings",
    "ReceiverSettings",
    "ReceiverTlsSettings",
    "RemoteSettings",
    "RulesSettings",
    "SenderSettings",
    "Settings",
    "WebSettings",
    "WorkerSettings",
    "load_settings",
]
