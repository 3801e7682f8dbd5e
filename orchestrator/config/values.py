"""Kinds of values that settings have, each checked where it is written."""

from __future__ import annotations

import ipaddress
import re
from datetime import date
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, quote, unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, Strict, ValidationInfo

from orchestrator.domain.hours import Hours

_HOSTNAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://.+")
_ASKED_BY_HTTP = {f"{kind}+{way}" for kind in ("dicomweb", "orthanc") for way in ("http", "https")}
_UID = re.compile(r"[0-9]+(\.[0-9]+)+")
_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")
_DEVICE = re.compile(r"(cpu|cuda:\d{1,2})(=[1-9]\d{0,7})?")
_SECRET_LIMIT_BYTES = 64 * 1024


def _ae_title(title: str) -> str:
    """Return the title without the spaces around it, which carry no meaning (PS3.5 table 6.2-1, AE)."""
    title = title.strip(" ")
    if not 1 <= len(title) <= 16 or "\\" in title or not (title.isascii() and title.isprintable()):
        raise ValueError(f"{title!r} is no AE title: 1 to 16 characters, plain letters and no backslash")
    return title


def _host(host: str) -> str:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if not _HOSTNAME.fullmatch(host) or host.replace(".", "").isdigit():
            raise ValueError(f"{host!r} is no address; write 127.0.0.1, ::1 or a host name") from None
    return host


def _archive_url(url: str) -> str:
    if not _SCHEME.fullmatch(url):
        raise ValueError("url is dimse://AET@host:port, file:///folder or another scheme://place")
    parts = split_url(url)
    if parts.scheme in ("dimse", "dimse+tls"):
        if not (parts.username and parts.hostname and parts.port) or parts.path.strip("/"):
            raise ValueError(f"such a url names AE title, host and port: {parts.scheme}://AET@host:port")
        _ae_title(unquote(parts.username))
    if parts.scheme in _ASKED_BY_HTTP and (not parts.hostname or parts.username or parts.query or parts.fragment):
        raise ValueError(f"such a url is {parts.scheme}://host:port; a path may follow, no user and no query")
    if parts.scheme == "file" and (parts.netloc not in ("", "localhost") or not parts.path.startswith("/")):
        raise ValueError("a file url names a folder from the root on: file:///data/archive")
    return url


def _day_hours(text: str) -> str:
    return str(Hours.parse(text))


def _http_url(url: str) -> str:
    parts = split_url(url)
    plain = not (parts.query or parts.fragment or parts.username) and ".." not in parts.path
    if parts.scheme not in ("http", "https") or not parts.hostname or not plain:
        raise ValueError("url is http://host:port or https://host:port; a path may follow, no user and no query")
    return url.rstrip("/")


def _sop_classes(classes: tuple[str, ...]) -> tuple[str, ...]:
    for sop_class in classes:
        if sop_class not in ("storage", "any") and not _UID.fullmatch(sop_class):
            raise ValueError(f'{sop_class!r} is no SOP class; write "storage", "any" or a list of UIDs')
    return classes


def _certificate_name(name: str) -> str:
    """Return the name; a fingerprint is written as openssl prints it, with colons or without."""
    kind, _, digits = name.strip().partition(":")
    if kind.lower() == "sha256" and not _SHA256.fullmatch(digits.replace(":", "")):
        raise ValueError("a fingerprint is sha256: and 64 hexadecimal digits, with colons between them or without")
    return name.strip()


def _list_or_one(value: object) -> object:
    """Return a tuple: what a validator gives on is read strictly, and a list of JSON would be none."""
    if isinstance(value, list):
        return tuple(value)
    return (value,) if isinstance(value, str) else value


def _devices(devices: tuple[str, ...]) -> tuple[str, ...]:
    for device in devices:
        if not _DEVICE.fullmatch(device) and devices != ("auto",):
            raise ValueError(
                f'{device!r} is no device; write "auto", or a list of "cpu" and "cuda:N", '
                'with their memory in MB where it is not the whole: "cuda:0=16000"'
            )
    names = [device.partition("=")[0] for device in devices]
    twice = [name for name in names if names.count(name) > 1]
    if twice or not names:
        raise ValueError(f"{twice[0]} is named twice" if twice else 'no device is named; "auto" takes all there are')
    return devices


def _day(value: object) -> object:
    """Return a day; TOML has days of its own, which the reader marks as moments."""
    if isinstance(value, dict) and value.keys() == {"moment"}:
        value = value["moment"]
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise ValueError(f"{value!r} is no day; write it as 2030-12-31") from None


def _as_written(default: object) -> object:
    """Return a default as text: what is read as JSON, strictly, has no paths and no secrets."""
    if isinstance(default, SecretStr):
        return default.get_secret_value()
    return str(default) if isinstance(default, Path) else default


def _resolved(path: Path, info: ValidationInfo) -> Path:
    return base_folder(info) / path.expanduser()


AETitle = Annotated[str, AfterValidator(_ae_title)]
Host = Annotated[str, AfterValidator(_host)]
Port = Annotated[int, Field(ge=0, le=65535)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
ArchiveURL = Annotated[str, AfterValidator(_archive_url)]
DayHours = Annotated[str, AfterValidator(_day_hours)]
HttpURL = Annotated[str, AfterValidator(_http_url)]
Devices = Annotated[tuple[str, ...], BeforeValidator(_list_or_one), AfterValidator(_devices)]
SopClasses = Annotated[tuple[str, ...], BeforeValidator(_list_or_one), AfterValidator(_sop_classes)]
CertificateName = Annotated[str, AfterValidator(_certificate_name)]
Day = Annotated[date, Strict(False), BeforeValidator(_day)]
FilePath = Annotated[Path, BeforeValidator(_as_written), AfterValidator(_resolved)]
"""A path that is absolute once it is read: a relative one starts at the settings file's folder."""
Secret = Annotated[SecretStr, BeforeValidator(_as_written)]


def base_folder(info: ValidationInfo) -> Path:
    """Return the folder from which relative paths are taken."""
    context = info.context or {}
    return Path(context.get("base") or Path.cwd())


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach the address; a name other than localhost is not trusted."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def split_url(url: str) -> SplitResult:
    """Return the parts of a URL.

    Raises ValueError, without the URL, which may hold a password.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError("the url cannot be read; write scheme://host:port") from None
    return parts


def holds_password(url: str) -> bool:
    """Return whether there is a password in the URL."""
    try:
        return bool(urlsplit(url).password)
    except ValueError:
        return False


def masked_url(url: str) -> str:
    """Return the URL with asterisks for its password."""
    if not holds_password(url):
        return url
    parts = urlsplit(url)
    user, _, place = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user.partition(':')[0]}:********@{place}").geturl()


def database_url(written: str, folder: Path, password_file: Path | None, base: Path) -> str:
    """Return the URL of the database with its file absolute and its password in place.

    Raises ValueError.
    """
    if not written:
        return f"sqlite:///{folder / 'orchestrator.db'}"
    if written.startswith("sqlite:///") and written != "sqlite:///":
        return f"sqlite:///{base / written.removeprefix('sqlite:///')}"
    if split_url(written).scheme not in ("postgresql", "postgres"):
        raise ValueError("database is sqlite:///FILE or postgresql://user@host/name")
    return _with_password(written, read_secret(password_file).get_secret_value()) if password_file else written


def _with_password(url: str, password: str) -> str:
    parts = split_url(url)
    if not parts.username or parts.password:
        raise ValueError(
            "with database_password_file the url names a user and no password: postgresql://user@host/name"
        )
    user, _, place = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user}:{quote(password, safe='')}@{place}").geturl()


def read_secret(file: Path) -> SecretStr:
    """Return what the file holds, without the end of its line.

    Raises ValueError where it cannot be read or is empty.
    """
    try:
        with file.open("rb") as opened:
            text = opened.read(_SECRET_LIMIT_BYTES).decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else "it is no text"
        raise ValueError(f"the secret in {file} cannot be read: {reason}") from None
    if not text:
        raise ValueError(f"the secret in {file} is empty")
    return SecretStr(text)
