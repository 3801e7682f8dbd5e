"""All settings of the host; the description of a field is its line in docs/reference/settings.md."""

from __future__ import annotations

import re
import socket
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

from pydantic import Field, ValidationInfo, field_validator

from orchestrator.config.receiving import EntitySettings, ReceiverSettings, ReceiverTlsSettings, SenderSettings
from orchestrator.config.remote import ArchiveSettings, DestinationSettings
from orchestrator.config.section import Section
from orchestrator.config.showing import as_json, as_toml
from orchestrator.config.values import (
    Day,
    Devices,
    FilePath,
    Host,
    HttpURL,
    Name,
    Port,
    base_folder,
    database_url,
    is_loopback,
)


class _HasName(Protocol):
    name: str


class DataSettings(Section):
    """Where the host stores images, results and records."""

    folder: FilePath = Field(default=Path("data"), description="Folder of spool, outbox and caches.")
    database_password_file: FilePath | None = Field(
        default=None, description="File that contains only the password of a PostgreSQL database."
    )
    database: str = Field(
        default="",
        description="`sqlite:///FILE` or `postgresql://user@host/name`. A password is allowed in the environment only.",
        json_schema_extra={"shown_default": "`orchestrator.db` in `data.folder`"},
    )
    retain_days: int = Field(
        default=14,
        ge=0,
        le=3650,
        description="Days that images and delivered objects stay on disk. Also the days that the host retries a "
        "storage commitment report. Records stay longer.",
    )

    @field_validator("database")
    @classmethod
    def _complete_database(cls, database: str, info: ValidationInfo) -> str:
        folder, password_file = info.data.get("folder"), info.data.get("database_password_file")
        if folder is None:  # reported already
            return database
        return database_url(database, folder, password_file, base_folder(info))


class RulesSettings(Section):
    """Which series go to which models."""

    file: FilePath | None = Field(
        default=None,
        description="The rules file. The running host loads a changed file.",
        json_schema_extra={"shown_default": "the shipped rules"},
    )


def _weights_folder() -> Path:
    import platformdirs  # imported late: most settings files name a folder

    return platformdirs.user_data_path("radiology-orchestrator") / "weights"


class ModelsSettings(Section):
    """Where models come from, in addition to installed packages."""

    folders: tuple[FilePath, ...] = Field(
        default=(), description="Folders of models, each a folder with a `model.toml`."
    )
    plugins: tuple[FilePath, ...] = Field(default=(), description="Folders of plugins, each a `*.py` file.")
    weights: FilePath = Field(
        default_factory=_weights_folder,
        description="Folder of downloaded weights.",
        json_schema_extra={"shown_default": "`radiology-orchestrator/weights` in the user's data folder"},
    )


class WebSettings(Section):
    """The pages where radiologists review results, and STOW-RS for pushed images."""

    enabled: bool = Field(default=True, description="Serve the pages.")
    stow: bool = Field(
        default=True,
        description="Accept images by STOW-RS at `/dicom-web/studies`, if `[receiver]` is enabled too.",
    )
    host: Host = Field(default="127.0.0.1", description="Address to listen on. Loopback only, until there is a login.")
    port: Port = Field(default=8080, description="TCP port. 0 uses any free port.")
    viewer: FilePath | None = Field(
        default=None,
        description="Folder `dist` of the OHIF viewer (npm's `@ohif/app`), served at `/viewer/`. `make viewer` "
        "installs it.",
    )
    viewer_archive: str = Field(
        default="",
        description="Name of the `[[archive]]` or `[[destination]]` that OHIF shows over DICOMweb.",
        json_schema_extra={"shown_default": "the first whose url is `dicomweb+…` or `orthanc+…`"},
    )

    @field_validator("host")
    @classmethod
    def _check_host(cls, host: str, info: ValidationInfo) -> str:
        if info.data.get("enabled") and not is_loopback(host):
            raise ValueError(f"host {host} would show results to everybody; write 127.0.0.1 until there is a login")
        return host


def _machine_name() -> str:
    """Return the host name with safe characters only; the same after each restart."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:64] or "orchestrator"


class ReviewSettings(Section):
    """Whether a second person must review a result too."""

    second_reader: Literal["none", "overruled", "all"] = Field(
        default="none",
        description="First verdicts that need a second reader: `none`, `overruled` (those that reject or correct the "
        "model) or `all`. If the two verdicts differ, a third one settles it.",
    )
    blinded: bool = Field(default=True, description="Hide the first verdict from the second reader.")


class EngineSettings(Section):
    """The part that runs jobs and deliveries and continues them after a crash."""

    executor_id: str = Field(
        default_factory=_machine_name,
        pattern=r"^[A-Za-z0-9._-]{1,64}$",
        description="Name of this process among those that share a database. It must not change at a restart.",
        json_schema_extra={"shown_default": "the machine's name"},
    )
    poll_seconds: float = Field(default=0.1, gt=0, le=60, description="Time between two looks at the queues.")


class WorkerSettings(Section):
    """The processes in which models run."""

    sandbox: Literal["required", "best", "off"] = Field(
        default="best",
        description="`required`: no model runs without the full cage. `best`: as much as the kernel supports. `off`: "
        "no cage.",
    )
    slots: int = Field(default=1, ge=1, le=64, description="How many models may run at once.")
    devices: Devices = Field(
        default=("auto",),
        description='`"auto"`: every GPU that nvidia-smi lists, and the CPU. Or a list such as `["cuda:0", "cpu"]`. '
        '`"cuda:0=16000"` lets models use 16000 MB of this GPU.',
        json_schema_extra={"shown_default": '`"auto"`'},
    )
    idle_seconds: float = Field(default=900, gt=0, description="A model process ends after this time without work.")


class EgressSettings(Section):
    """A place outside to which the host may send data. Without such a table nothing leaves."""

    name: Name = Field(description="Name in records and messages.")
    url: HttpURL = Field(
        description="`http://host:port` or `https://host:port`. With a path, only addresses below it are allowed."
    )
    kind: Literal["inference"] = Field(default="inference", description="Kind of place. `inference`: a model server.")
    profile: Literal["voxels"] = Field(
        default="voxels",
        description="Data that may leave. `voxels`: the input tensor of a model, without any identification.",
    )
    purpose: str = Field(min_length=1, max_length=200, description="Purpose, recorded in the audit trail.")
    expires: Day | None = Field(default=None, description="Last day on which it is allowed, such as 2030-12-31.")
    ca_file: FilePath | None = Field(
        default=None,
        description="PEM file of the authority that signed its certificate. Without it, the authorities of this "
        "machine apply.",
    )


class Settings(Section):
    """All settings; tables in two brackets such as ``[[archive]]`` may occur several times."""

    receiver: ReceiverSettings = Field(default_factory=ReceiverSettings)
    receiver_tls: ReceiverTlsSettings = Field(default_factory=ReceiverTlsSettings)
    entities: tuple[EntitySettings, ...] = Field(default=(), alias="entity")
    senders: tuple[SenderSettings, ...] = Field(default=(), alias="sender")
    archives: tuple[ArchiveSettings, ...] = Field(default=(), alias="archive")
    destinations: tuple[DestinationSettings, ...] = Field(default=(), alias="destination")
    data: DataSettings = Field(default_factory=DataSettings)
    rules: RulesSettings = Field(default_factory=RulesSettings)
    models: ModelsSettings = Field(default_factory=ModelsSettings)
    web: WebSettings = Field(default_factory=WebSettings)
    review: ReviewSettings = Field(default_factory=ReviewSettings)
    engine: EngineSettings = Field(default_factory=EngineSettings)
    worker: WorkerSettings = Field(default_factory=WorkerSettings)
    egress: tuple[EgressSettings, ...] = Field(default=())

    @field_validator("archives", "destinations", "egress")
    @classmethod
    def _check_names(cls, remotes: Sequence[_HasName]) -> Sequence[_HasName]:
        names = Counter(remote.name for remote in remotes)
        duplicates = [name for name, count in names.items() if count > 1]
        if duplicates:
            raise ValueError(f"two tables have the name {duplicates[0]!r}")
        return remotes

    @field_validator("entities")
    @classmethod
    def _check_titles(cls, entities: Sequence[EntitySettings], info: ValidationInfo) -> Sequence[EntitySettings]:
        receiver = info.data.get("receiver")
        titles = Counter(entity.ae_title for entity in entities) + Counter([receiver.ae_title] if receiver else [])
        duplicates = [title for title, count in titles.items() if count > 1]
        if duplicates:
            raise ValueError(f"two tables have the AE title {duplicates[0]!r}")
        return entities

    @field_validator("senders")
    @classmethod
    def _check_senders(cls, senders: Sequence[SenderSettings]) -> Sequence[SenderSettings]:
        duplicates = [title for title, count in Counter(sender.ae_title for sender in senders).items() if count > 1]
        if duplicates:
            raise ValueError(f"two [[sender]] tables have the AE title {duplicates[0]!r}")
        return senders

    @field_validator("receiver_tls")
    @classmethod
    def _check_tls_port(cls, tls: ReceiverTlsSettings, info: ValidationInfo) -> ReceiverTlsSettings:
        receiver = info.data.get("receiver")
        if (
            receiver
            and receiver.enabled
            and tls.enabled
            and not tls.replaces_plain
            and tls.port
            and tls.port == receiver.port
        ):
            raise ValueError(f"[receiver] uses port {tls.port} already; choose another port for TLS")
        return tls

    @field_validator("web")
    @classmethod
    def _check_web_port(cls, web: WebSettings, info: ValidationInfo) -> WebSettings:
        receiver = info.data.get("receiver")
        if receiver and receiver.enabled and web.enabled and web.port and web.port == receiver.port:
            raise ValueError(f"[receiver] uses port {web.port} already; choose another port for the pages")
        return web

    def shown(self) -> str:
        """Return the effective settings as a settings file, secrets masked."""
        return as_toml(self.model_dump(mode="json", by_alias=True))

    def to_json(self) -> str:
        """Return the effective settings as JSON, secrets masked."""
        return as_json(self.model_dump(mode="json", by_alias=True))
