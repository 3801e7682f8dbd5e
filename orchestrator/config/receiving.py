"""Settings of the receiver: DICOM ports, AE titles, senders."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationInfo, field_validator

from orchestrator.config.section import Section
from orchestrator.config.values import AETitle, CertificateName, FilePath, Host, Port, SopClasses, is_loopback


class ReceiverSettings(Section):
    """The DICOM port to which modalities and archives push images."""

    enabled: bool = Field(default=True, description="Listen for pushed images.")
    ae_title: AETitle = Field(default="ORCHESTRATOR", description="AE title of this host.")
    allow: tuple[AETitle, ...] = Field(
        default=(), description="Calling AE titles that may send. Without it any may send, on loopback only."
    )
    host: Host = Field(default="127.0.0.1", description="Address to listen on. Any other than loopback needs `allow`.")
    port: Port = Field(default=11112, description="TCP port. 0 uses any free port.")
    accept: SopClasses = Field(
        default=("storage",),
        description='Accepted SOP classes. `"storage"`: all storage classes of the standard. `"any"`: also private '
        "classes and those of coming editions. A list of SOP Class UIDs: these and all of the standard.",
        json_schema_extra={"shown_default": '`"storage"`'},
    )
    commitment: bool = Field(
        default=False,
        description="Answer requests for storage commitment. Images stay here for `data.retain_days` only, so leave it "
        "off if senders delete their images after a commitment.",
    )
    quiet_seconds: float = Field(
        default=30,
        ge=0,
        le=3600,
        description="Quiet period: time without a new image after which a series counts as complete.",
    )
    maximum_pdu: int = Field(default=131072, ge=4096, le=1048576, description="Largest accepted PDU, in bytes.")
    maximum_associations: int = Field(default=32, ge=1, le=1024, description="Most associations open at once.")
    maximum_per_sender: int = Field(
        default=16,
        ge=1,
        le=1024,
        description="Most associations open at once of one calling AE title, and of one address.",
    )
    maximum_waiting: int = Field(
        default=64,
        ge=1,
        le=4096,
        description="Most connections open without an association. One more closes the oldest of the address with "
        "most of them.",
    )
    request_seconds: float = Field(
        default=5, gt=0, le=60, description="A connection without an association request is closed after this time."
    )
    idle_seconds: float = Field(
        default=120,  # scanners keep an association open while they reconstruct
        gt=0,
        le=3600,
        description="An association without data is aborted after this time.",
    )
    minimum_free_mb: int = Field(
        default=2048, ge=0, description="With less free disk space the receiver answers A700 (out of resources)."
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
    """Another AE title of this host. Rules distinguish AE titles by `CalledAETitle`."""

    ae_title: AETitle = Field(description="The AE title.")
    allow: tuple[AETitle, ...] = Field(
        default=(),
        description="Calling AE titles that may send to it.",
        json_schema_extra={"shown_default": "those of `[receiver]`"},
    )
    quiet_seconds: float | None = Field(
        default=None,
        ge=0,
        le=3600,
        description="Quiet period of series that were sent to this AE title.",
        json_schema_extra={"shown_default": "that of `[receiver]`"},
    )


class ReceiverTlsSettings(Section):
    """A second DICOM port for senders with TLS (PS3.15 B.12, BCP 195). Changed files are read again."""

    enabled: bool = Field(default=False, description="Listen on this port.")
    port: Port = Field(default=2762, description="TCP port. 0 uses any free port.")
    certificate_file: FilePath | None = Field(
        default=None, description="PEM file of this host's certificate, with the intermediate certificates."
    )
    key_file: FilePath | None = Field(
        default=None, description="PEM file of the private key of this certificate, without a passphrase."
    )
    ca_file: FilePath | None = Field(
        default=None, description="PEM file of the authorities that sign the senders' certificates."
    )
    require_certificate: bool = Field(default=True, description="Require a certificate of each sender (mutual TLS).")
    only: bool | None = Field(
        default=None,
        description="`false`: senders without TLS may use the port of `[receiver]` too. Otherwise it is closed.",
        json_schema_extra={"shown_default": "`true` where TLS is enabled"},
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
    def _check_ports(cls, only: bool | None, info: ValidationInfo) -> bool | None:
        if only and info.data.get("enabled") is False:
            raise ValueError("only = true needs enabled = true; otherwise no port is open")
        return only

    @property
    def replaces_plain(self) -> bool:
        """Whether the port without TLS is closed."""
        return self.enabled and self.only is not False


class SenderSettings(Section):
    """Further settings of one sender. `allow` of `[receiver]` or `[[entity]]` says whether it may send."""

    ae_title: AETitle = Field(description="Calling AE title of the sender.")
    certificate: CertificateName = Field(
        default="",
        description="Certificate that it must show: the Common Name or a DNS name in it, or `sha256:` and the "
        "fingerprint. The AE title is then accepted under TLS only.",
    )
    host: Host | None = Field(
        default=None, description="Address for storage commitment reports, if the sender did not wait for them."
    )
    port: Port = Field(default=104, description="TCP port for these reports.")
    tls: bool = Field(
        default=False,
        description="Send these reports under TLS, with the files of `[receiver_tls]`.",
    )
    may_replace: bool = Field(
        default=False,
        description="Images from this sender replace those that another sender brought under the same SOP Instance "
        "UID, as those of an archive that corrects patient data. Of any other sender they go to the quarantine.",
    )
    verdicts: bool = Field(
        default=False,
        description="A verified SR, an edited SEG or a rejection note from this sender that names a result of this "
        "host counts as its review. Needs `certificate`, since anybody can use an AE title.",
    )

    @field_validator("verdicts")
    @classmethod
    def _check_certificate(cls, verdicts: bool, info: ValidationInfo) -> bool:
        if verdicts and info.data.get("certificate") == "":
            raise ValueError(
                "verdicts = true needs certificate: anybody can use this AE title, and a forged report would count as "
                "a physician's verdict"
            )
        return verdicts
