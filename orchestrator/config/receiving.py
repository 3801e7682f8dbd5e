"""Settings of the receiver: DICOM ports, AE titles, senders."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationInfo, field_validator

from orchestrator.config.section import Section
from orchestrator.config.values import AETitle, CertificateName, FilePath, Host, Port, SopClasses, is_loopback


class ReceiverSettings(Section):
    """The DICOM port that modalities and archives push images to."""

    enabled: bool = Field(default=True, description="Whether the host listens for pushed images.")
    ae_title: AETitle = Field(default="ORCHESTRATOR", description="AE title under which senders call this host.")
    allow: tuple[AETitle, ...] = Field(
        default=(), description="Calling AE titles that may send; empty lets any send, on loopback only."
    )
    host: Host = Field(default="127.0.0.1", description="Address to listen on; any but loopback needs `allow`.")
    port: Port = Field(default=11112, description="TCP port; 0 takes any free one.")
    accept: SopClasses = Field(
        default=("storage",),
        description='Objects that are taken: `"storage"`, all that the standard knows; `"any"`, those of coming '
        "editions and all private ones too; or a list of SOP Class UIDs, beside those that the standard knows.",
        json_schema_extra={"shown_default": '`"storage"`'},
    )
    commitment: bool = Field(
        default=False,
        description="Whether a sender that asks for storage commitment is told what lies here. It lies here for "
        "`data.retain_days` only: leave it off for senders that erase their images on that word.",
    )
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
    def _check_host(cls, host: str, info: ValidationInfo) -> str:
        if info.data.get("enabled") and info.data.get("allow") == () and not is_loopback(host):
            raise ValueError(
                f"host {host} lets everybody on the network send images; "
                'list the senders, such as allow = ["CT1"], or write 127.0.0.1'
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


class ReceiverTlsSettings(Section):
    """A second DICOM port, for senders that speak TLS (PS3.15 B.12, BCP 195)."""

    enabled: bool = Field(default=False, description="Whether the host listens there; files that change are read anew.")
    port: Port = Field(default=2762, description="TCP port; 0 takes any free one.")
    certificate_file: FilePath | None = Field(
        default=None, description="PEM file of this host's certificate, with those between it and its authority."
    )
    key_file: FilePath | None = Field(
        default=None, description="PEM file of that certificate's private key, without a passphrase."
    )
    ca_file: FilePath | None = Field(
        default=None, description="PEM file of the authorities whose certificates senders may show."
    )
    require_certificate: bool = Field(default=True, description="Whether senders must show a certificate (mutual TLS).")
    only: bool = Field(
        default=False, description="`true`: nothing is taken in the clear; the port of `[receiver]` is shut."
    )

    @field_validator("certificate_file", "key_file")
    @classmethod
    def _require_file(cls, file: Path | None, info: ValidationInfo) -> Path | None:
        if info.data.get("enabled") and file is None:
            raise ValueError("enabled = true needs certificate_file and key_file of this host")
        return file

    @field_validator("require_certificate")
    @classmethod
    def _check_authorities(cls, require: bool, info: ValidationInfo) -> bool:
        if require and info.data.get("enabled") and "ca_file" in info.data and info.data["ca_file"] is None:
            raise ValueError(
                "require_certificate = true needs ca_file with the trusted authorities; "
                "if senders have no certificates, write require_certificate = false"
            )
        return require

    @field_validator("only")
    @classmethod
    def _check_ports(cls, only: bool, info: ValidationInfo) -> bool:
        if only and info.data.get("enabled") is False:
            raise ValueError("only = true needs enabled = true; otherwise no port is open")
        return only


class SenderSettings(Section):
    """What is known of one sender, beside that it may send."""

    ae_title: AETitle = Field(description="Its calling AE title.")
    certificate: CertificateName = Field(
        default="",
        description="The certificate it must show: its Common Name or a DNS name in it, or `sha256:` and its "
        "fingerprint. It is then taken under TLS only.",
    )
    host: Host | None = Field(
        default=None, description="Where it takes reports of storage commitment when it did not wait for them."
    )
    port: Port = Field(default=104, description="TCP port of that.")
    tls: bool = Field(
        default=False,
        description="Whether it speaks TLS there; the files of `[receiver_tls]` are used.",
    )
    verdicts: bool = Field(
        default=False,
        description="Whether a verified SR, an edited SEG or a rejection note of it that names a result of this host "
        "counts as the review of that result.",
    )
