"""Types of settings values: AE titles, URLs, paths, secrets; each type checks its values."""

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
_HTTP_SCHEMES = {f"{kind}+{way}" for kind in ("dicomweb", "orthanc") for way in ("http", "https")}
_UID = re.compile(r"[0-9]+(\.[0-9]+)+")
_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")
_DEVICE = re.compile(r"(cpu|cuda:\d{1,2})(=[1-9]\d{0,7})?")
_SECRET_LIMIT_BYTES = 64 * 1024


def _ae_title(title: str) -> str:
    """Return the title without leading and trailing spaces, which are not significant (PS3.5 table 6.2-1, AE)."""
    title = title.strip(" ")
    if not 1 <= len(title) <= 16 or "\\" in title or not (title.isascii() and title.isprintable()):
        raise ValueError(f"{title!r} is not an AE title; write 1 to 16 ASCII characters without a backslash")
    return title


def _host(host: str) -> str:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if not _HOSTNAME.fullmatch(host) or host.replace(".", "").isdigit():
            raise ValueError(f"{host!r} is not an address; write an IP address or a host name") from None
    return host


def _archive_url(url: str) -> str:
    if not _SCHEME.fullmatch(url):
        raise ValueError("url must be dimse://AET@host:port, file:///folder or another scheme://address")
    parts = split_url(url)
    if parts.scheme in ("dimse", "dimse+tls"):
        if not (parts.username and parts.hostname and parts.port) or parts.path.strip("/"):
            raise ValueError(f"url needs AE title, host and port; write {parts.scheme}://AET@host:port")
        _ae_title(unquote(parts.username))
    if parts.scheme in _HTTP_SCHEMES and (not parts.hostname or parts.username or parts.query or parts.fragment):
        raise ValueError(f"url must be {parts.scheme}://host:port, with or without a path; no user, no query")
    if parts.scheme == "file" and (parts.netloc not in ("", "localhost") or not parts.path.startswith("/")):
        raise ValueError("url of a folder needs an absolute path; write file:///data/archive")
    return url


def _day_hours(text: str) -> str:
    return str(Hours.parse(text))


def _http_url(url: str) -> str:
    parts = split_url(url)
    plain = not (parts.query or parts.fragment or parts.username) and ".." not in parts.path
    if parts.scheme not in ("http", "https") or not parts.hostname or not plain:
        raise ValueError("url must be http://host:port or https://host:port, with or without a path; no user, no query")
    return url.rstrip("/")


def _sop_classes(classes: tuple[str, ...]) -> tuple[str, ...]:
    for sop_class in classes:
        if sop_class not in ("storage", "any") and not _UID.fullmatch(sop_class):
            raise ValueError(f'{sop_class!r} is not a SOP Class UID; write "storage", "any" or a list of UIDs')
    return classes


def _certificate_name(name: str) -> str:
    """Return the name or fingerprint; openssl prints fingerprints with colons, which are optional here."""
    kind, _, digits = name.strip().partition(":")
    if kind.lower() == "sha256" and not _SHA256.fullmatch(digits.replace(":", "")):
        raise ValueError("a fingerprint must be sha256: and 64 hexadecimal digits, with or without colons between them")
    return name.strip()


def _list_or_one(value: object) -> object:
    """Return a tuple, since pydantic's strict mode takes no list for one."""
    if isinstance(value, list):
        return tuple(value)
    return (value,) if isinstance(value, str) else value


def _devices(devices: tuple[str, ...]) -> tuple[str, ...]:
    for device in devices:
        if not _DEVICE.fullmatch(device) and devices != ("auto",):
            raise ValueError(
                f'{device!r} is not a device; write "auto", or a list of "cpu" and "cuda:N"; '
                '"cuda:0=16000" limits the memory to 16000 MB'
            )
    names = [device.partition("=")[0] for device in devices]
    duplicates = [name for name in names if names.count(name) > 1]
    if duplicates:
        raise ValueError(f"the list names {duplicates[0]} twice")
    if not names:
        raise ValueError('the list has no device; write "auto" to use all devices')
    return devices


def _day(value: object) -> object:
    """Return a day; the reader marks TOML's own dates as moments."""
    if isinstance(value, dict) and value.keys() == {"moment"}:
        value = value["moment"]
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise ValueError(f"{value!r} is not a day; write it as 2030-12-31") from None


def _to_text(default: object) -> object:
    """Return a default as text: the strict JSON reader knows no paths and no secrets."""
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
FilePath = Annotated[Path, BeforeValidator(_to_text), AfterValidator(_resolved)]
"""An absolute path; a relative one in the file starts at the folder of the settings file."""
Secret = Annotated[SecretStr, BeforeValidator(_to_text)]


def base_folder(info: ValidationInfo) -> Path:
    """Return the folder at which relative paths start."""
    context = info.context or {}
    return Path(context.get("base") or Path.cwd())


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach the address; of names, only localhost counts."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def split_url(url: str) -> SplitResult:
    """Return the parts of a URL.

    Raises ValueError without the URL in it, since that may contain a password.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError("url is not valid; write scheme://host:port") from None
    return parts


def holds_password(url: str) -> bool:
    """Return whether the URL contains a password."""
    try:
        return bool(urlsplit(url).password)
    except ValueError:
        return False


def mask_url(url: str) -> str:
    """Return the URL with asterisks in place of its password."""
    if not holds_password(url):
        return url
    parts = urlsplit(url)
    user, _, place = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user.partition(':')[0]}:********@{place}").geturl()


def database_url(url: str, folder: Path, password_file: Path | None, base: Path) -> str:
    """Return the URL of the database with an absolute file path and the password.

    Raises ValueError.
    """
    if not url:
        return f"sqlite:///{folder / 'orchestrator.db'}"
    if url.startswith("sqlite:///") and url != "sqlite:///":
        return f"sqlite:///{base / url.removeprefix('sqlite:///')}"
    if split_url(url).scheme not in ("postgresql", "postgres"):
        raise ValueError("database must be sqlite:///FILE or postgresql://user@host/name")
    return _with_password(url, read_secret(password_file).get_secret_value()) if password_file else url


def _with_password(url: str, password: str) -> str:
    parts = split_url(url)
    if not parts.username or parts.password:
        raise ValueError(
            "with database_password_file, database needs a user and no password; write postgresql://user@host/name"
        )
    user, _, place = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user}:{quote(password, safe='')}@{place}").geturl()


def read_secret(file: Path) -> SecretStr:
    """Return the content of the file without the line end.

    Raises ValueError for a file that cannot be read or is empty.
    """
    try:
        with file.open("rb") as stream:
            text = stream.read(_SECRET_LIMIT_BYTES).decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else "it is not UTF-8 text"
        raise ValueError(f"the secret file {file} cannot be read: {reason}") from None
    if not text:
        raise ValueError(f"the secret file {file} is empty")
    return SecretStr(text)
