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

    name: Name = Field(description="Name by which records and messages know it.")
    url: ArchiveURL = Field(
        description="`dimse://AET@host:port`, `dimse+tls://AET@host:port`, `dicomweb+https://host:port/path`, "
        "`orthanc+http://host:port`, "
        "`file:///folder` or a scheme that a plugin adds; no password in it."
    )
    ae_title: AETitle = Field(default="ORCHESTRATOR", description="AE title under which this host calls it.")
    timeout_seconds: float = Field(default=30, gt=0, le=3600, description="How long one answer of it may take.")
    ca_file: FilePath | None = Field(
        default=None, description="TLS: PEM file of the authority that signed its certificate; else the usual ones."
    )
    certificate_file: FilePath | None = Field(
        default=None, description="TLS: PEM file of this host's own certificate, where it asks for one."
    )
    key_file: FilePath | None = Field(default=None, description="TLS: PEM file of that certificate's private key.")
    username: str = Field(default="", description="User name, where it asks for one.")
    password_file: FilePath | None = Field(default=None, description="File that holds the password and nothing else.")
    password: Secret = Field(
        default=SecretStr(""), description="The password itself; by environment only, never in the settings file."
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
    """An archive that the host knows."""

    watch: bool = Field(default=False, description="Whether the host looks there for new series and takes them.")
    look_seconds: float | None = Field(
        default=None,
        ge=0.1,
        le=3600,
        description="Time between two looks there; of a folder the system tells, and it is looked through too.",
        json_schema_extra={"shown_default": "1 where it is an Orthanc, else 10"},
    )
    quiet_seconds: float | None = Field(
        default=None,
        ge=0,
        le=3600,
        description="Silence after which a series that came from it is complete when nothing else says so.",
        json_schema_extra={"shown_default": "that of `[receiver]`"},
    )
    verdicts: bool = Field(
        default=False,
        description="Whether a verified SR, an edited SEG or a rejection note in it that names a result of this host "
        "counts as the review of that result; needs `watch`.",
    )

    retrieve: Literal["get", "move"] = Field(
        default="get",
        description="dimse: `get`, images come by C-GET, and by C-MOVE where it offers none; "
        "`move`, by C-MOVE to the receiver.",
    )
    move_to: AETitle | None = Field(
        default=None,
        description="dimse: AE title of the receiver, as the archive knows it.",
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
        description="What it gets of a result: `seg`, `sr`, `parametric-map`, `key-image`, `key-object`, "
        "`presentation`; `sr` or `key-image` must be among them, for a negative result has nothing else.",
        json_schema_extra={"shown_default": '`["seg", "sr", "parametric-map"]`'},
    )
    seg: Literal["binary", "labelmap"] = Field(default="binary", description="How segmentations are encoded for it.")
    sr: Literal["comprehensive-3d", "comprehensive"] = Field(
        default="comprehensive-3d",
        description="Class of the reports that it gets; `comprehensive` where it knows no Comprehensive 3D SR.",
    )
    transfer_syntax: Literal["explicit", "implicit", "deflated"] = Field(
        default="explicit",
        description="Explicit VR Little Endian; `implicit` where it takes no other; `deflated` sends least.",
    )
    ask: bool = Field(
        default=True,
        description="`false`: it cannot be asked whether it holds the source images and the same patient; "
        "that is recorded with each result.",
    )
    confirm: Literal["readback", "commitment", "none"] = Field(
        default="readback",
        description="`readback`: it is asked for the objects; `commitment`: it commits itself to keep them; "
        "`none`: recorded as sent, unconfirmed.",
    )
    retry_hours: float = Field(
        default=72,
        gt=0,
        le=720,
        description="How long a result is tried after its first attempt that failed; then it is parked.",
    )
    per_minute: int | None = Field(
        default=None,
        ge=1,
        le=6000,
        description="Results that it gets in a minute at most; as many as there are unless set.",
    )
    window: DayHours | None = Field(
        default=None,
        description="When it gets results, such as `20:00-06:00` or `20:00-06:00 Europe/Berlin`; stat and urgent "
        "results go at any time.",
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
