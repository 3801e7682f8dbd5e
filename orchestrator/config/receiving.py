"""The settings of what takes images that others push."""

from __future__ import annotations

from pydantic import Field, ValidationInfo, field_validator

from orchestrator.config.section import Section
from orchestrator.config.values import AETitle, Host, Port, is_loopback


class ReceiverSettings(Section):
    """The DICOM port that modalities and archives push images to."""

    enabled: bool = Field(default=True, description="Whether the host listens for pushed images.")
    ae_title: AETitle = Field(default="ORCHESTRATOR", description="AE title under which senders call this host.")
    allow: tuple[AETitle, ...] = Field(
        default=(), description="Calling AE titles that may send; empty lets any send, on loopback only."
    )
    host: Host = Field(default="127.0.0.1", description="Address to listen on; any but loopback needs `allow`.")
    port: Port = Field(default=11112, description="TCP port; 0 takes any free one.")
    quiet_seconds: float = Field(
        default=30,
        ge=0,
        le=3600,
        description="Silence after which a series is complete when nothing else says so.",
    )
    maximum_pdu: int = Field(default=131072, ge=4096, le=1048576, description="Largest PDU that is taken, in bytes.")
    maximum_associations: int = Field(default=32, ge=1, le=1024, description="Associations that may be open at once.")
    maximum_waiting: int = Field(
        default=64,
        ge=1,
        le=4096,
        description="Connections that may be open without an association; then the oldest goes.",
    )
    request_seconds: float = Field(
        default=5, gt=0, le=60, description="A connection that has not asked for an association by then is closed."
    )
    idle_seconds: float = Field(
        default=120,  # scanners keep an association open while they reconstruct
        gt=0,
        le=3600,
        description="An association that is silent for so long is aborted.",
    )
    minimum_free_mb: int = Field(
        default=2048, ge=0, description="With less free disk space senders are told A700, out of resources."
    )

    @field_validator("host")
    @classmethod
    def _knows_its_senders(cls, host: str, info: ValidationInfo) -> str:
        if info.data.get("enabled") and info.data.get("allow") == () and not is_loopback(host):
            raise ValueError(
                f"host {host} lets anybody on the network send; "
                'name the senders, as in allow = ["CT1"], or listen on 127.0.0.1'
            )
        return host


class EntitySettings(Section):
    """A further AE title of this host, which rules tell apart as `CalledAETitle`."""

    ae_title: AETitle = Field(description="AE title under which senders call it.")
    allow: tuple[AETitle, ...] = Field(
        default=(),
        description="Calling AE titles that may send to it.",
        json_schema_extra={"shown_default": "those of `[receiver]`"},
    )
    quiet_seconds: float | None = Field(
        default=None,
        ge=0,
        le=3600,
        description="Silence after which a series that came to it is complete.",
        json_schema_extra={"shown_default": "that of `[receiver]`"},
    )
