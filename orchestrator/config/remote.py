"""Settings of archives and destinations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from orchestrator.config.section import Section
from orchestrator.config.values import (
    AETitle,
    ArchiveURL,
    DayHours,
    FilePath,
    Name,
    Secret,
    read_secret,
    split_url,
)

_WITHOUT_TLS = {
    "dimse": "write dimse+tls://",
    "orthanc+http": "write orthanc+https://",
    "dicomweb+http": "write dicomweb+https://",
    "file": "remove it",
}


ObjectWord = Literal["seg", "sr", "parametric-map", "key-image", "key-object", "presentation"]
"""Kinds of objects, as the settings name them."""


class RemoteSettings(Section):
    """What archives and destinations have in common."""

    name: Name = Field(description="Name in records and messages.")
    url: ArchiveURL = Field(
        description="`dimse://AET@host:port`, `dimse+tls://AET@host:port`, `dicomweb+https://host:port/path`, "
        "`orthanc+http://host:port`, "
        "`file:///folder` or a scheme of a plugin. It contains no password."
    )
    ae_title: AETitle = Field(default="ORCHESTRATOR", description="AE title of this host, used as calling AE title.")
    timeout_seconds: float = Field(default=30, gt=0, le=3600, description="Longest wait for one answer.")
    ca_file: FilePath | None = Field(
        default=None,
        description="TLS: PEM file of the authority that signed its certificate. Without it, the authorities of this "
        "machine apply.",
    )
    certificate_file: FilePath | None = Field(
        default=None, description="TLS: PEM file of this host's certificate, if the archive requires one."
    )
    key_file: FilePath | None = Field(default=None, description="TLS: PEM file of the private key of this certificate.")
    username: str = Field(default="", description="User name, if the archive requires one.")
    password_file: FilePath | None = Field(default=None, description="File that contains only the password.")
    password: Secret = Field(
        default=SecretStr(""), description="The password. Only in the environment, never in the settings file."
    )

    @field_validator("username")
    @classmethod
    def _check_username(cls, username: str, info: ValidationInfo) -> str:
        if username and "url" in info.data and split_url(info.data["url"]).scheme in ("dimse", "dimse+tls", "file"):
            raise ValueError("dimse and file urls have no login; remove username and password")
        return username

    @field_validator("ca_file", "certificate_file")
    @classmethod
    def _check_tls(cls, file: Path | None, info: ValidationInfo) -> Path | None:
        scheme = split_url(info.data["url"]).scheme if file and "url" in info.data else ""
        if scheme in _WITHOUT_TLS:
            raise ValueError(
                f"{info.field_name} has no effect, since {scheme} urls have no TLS; {_WITHOUT_TLS[scheme]}"
            )
        return file

    @field_validator("key_file")
    @classmethod
    def _check_pair(cls, key: Path | None, info: ValidationInfo) -> Path | None:
        if (key is None) != (info.data.get("certificate_file") is None):
            raise ValueError("certificate_file and key_file must be set together")
        return key

    @field_validator("password")
    @classmethod
    def _read_password(cls, password: SecretStr, info: ValidationInfo) -> SecretStr:
        file = info.data.get("password_file")
        if file is None:
            return password
        if password.get_secret_value():
            raise ValueError("set either password or password_file, not both")
        return read_secret(file)


class ArchiveSettings(RemoteSettings):
    """An archive from which the host may search and fetch series."""

    watch: bool = Field(default=False, description="Watch the archive: fetch new series that a rule may match.")
    look_seconds: float | None = Field(
        default=None,
        ge=0.1,
        le=3600,
        description="Time between two polls of a watched archive. A folder also has file notifications.",
        json_schema_extra={"shown_default": "1 for an Orthanc, else 10"},
    )
    quiet_seconds: float | None = Field(
        default=None,
        ge=0,
        le=3600,
        description="Quiet period of series from this archive.",
        json_schema_extra={"shown_default": "that of `[receiver]`"},
    )
    verdicts: bool = Field(
        default=False,
        description="A verified SR, an edited SEG or a rejection note in this archive that names a result of this host "
        "counts as its review. Needs `watch`.",
    )

    retrieve: Literal["get", "move"] = Field(
        default="get",
        description="dimse: `get` fetches by C-GET, or by C-MOVE if the archive has no C-GET. `move` fetches by C-MOVE "
        "to the receiver.",
    )
    move_to: AETitle | None = Field(
        default=None,
        description="dimse: AE title of the receiver in the archive.",
        json_schema_extra={"shown_default": "that of `[receiver]`"},
    )

    @field_validator("verdicts")
    @classmethod
    def _check_verdicts(cls, verdicts: bool, info: ValidationInfo) -> bool:
        if verdicts and info.data.get("watch") is False:
            raise ValueError("verdicts = true needs watch = true; otherwise the host never reads the archive")
        return verdicts


class DestinationSettings(RemoteSettings):
    """An archive that results are sent to."""

    objects: tuple[ObjectWord, ...] = Field(
        default=("seg", "sr", "parametric-map"),
        description="Objects that it gets: `seg`, `sr`, `parametric-map`, `key-image`, `key-object`, `presentation`. "
        "`sr` or `key-image` is required, because a negative result has no other object.",
        json_schema_extra={"shown_default": '`["seg", "sr", "parametric-map"]`'},
    )
    seg: Literal["binary", "labelmap"] = Field(default="binary", description="Encoding of segmentations.")
    sr: Literal["comprehensive-3d", "comprehensive"] = Field(
        default="comprehensive-3d",
        description="SOP class of reports. Use `comprehensive` if it does not accept Comprehensive 3D SR.",
    )
    transfer_syntax: Literal["explicit", "implicit", "deflated"] = Field(
        default="explicit",
        description="`explicit`: Explicit VR Little Endian. `implicit`: if it accepts nothing else. `deflated`: "
        "smallest transfer.",
    )
    ask: bool = Field(
        default=True,
        description="Query the source images and the patient before sending. `false`: the archive cannot be queried. "
        "This is recorded with each result.",
    )
    confirm: Literal["readback", "commitment", "none"] = Field(
        default="readback",
        description="Proof of arrival. `readback`: query the objects. `commitment`: storage commitment. `none`: "
        "recorded as sent, unconfirmed.",
    )
    retry_hours: float = Field(
        default=72,
        gt=0,
        le=720,
        description="Time for retries after the first failed attempt. Then the result is parked.",
    )
    per_minute: int | None = Field(
        default=None,
        ge=1,
        le=6000,
        description="Most results per minute. Without it there is no limit.",
    )
    window: DayHours | None = Field(
        default=None,
        description="Hours for sending, such as `20:00-06:00` or `20:00-06:00 Europe/Berlin`. Stat and urgent results "
        "are sent at any time.",
    )

    @field_validator("objects")
    @classmethod
    def _check_objects(cls, objects: Sequence[ObjectWord]) -> Sequence[ObjectWord]:
        if not {"sr", "key-image"} & set(objects):
            raise ValueError(
                "a negative result is only a report or a key image; "
                'add "sr", or "key-image" if the destination takes no reports'
            )
        return objects

    @field_validator("confirm")
    @classmethod
    def _check_confirm(cls, confirm: str, info: ValidationInfo) -> str:
        if confirm == "readback" and info.data.get("ask") is False:
            raise ValueError(
                'confirm = "readback" needs ask = true; with ask = false write confirm = "none" or "commitment"'
            )
        return confirm
