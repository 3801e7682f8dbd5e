"""Downloads single files from wheels of the Python package index; code of a wheel never runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from orchestrator.domain.errors import PackageError
from orchestrator.worker.manifest.file import sha256

DOWNLOAD_SECONDS = 1800.0


class WheelFile(Protocol):
    """A file at ``path`` in the wheel of one version of a package; ``sha256`` is the digest of the file."""

    @property
    def package(self) -> str: ...  # noqa: D102 - see the class

    @property
    def version(self) -> str: ...  # noqa: D102

    @property
    def path(self) -> str: ...  # noqa: D102

    @property
    def sha256(self) -> str: ...  # noqa: D102


def fetch_wheel_file(file: WheelFile, folder: Path, log: Callable[[str], None]) -> Path:
    """Extract the file from its wheel and return its path; pip downloads the wheel into the folder unless it is there.

    Raises PackageError: package index not reachable, no such file in the wheel, wrong SHA-256.
    """
    place = folder / f"{file.package}-{file.version}"
    if not any(place.glob("*.whl")):
        log(f"downloading {file.package} {file.version}")
        _download(file, place)
    path = _extract(next(place.glob("*.whl")), file.path)
    if (digest := sha256(path)) != file.sha256:
        raise PackageError(f"{file.path} of {file.package} {file.version} has SHA-256 {digest}, expected {file.sha256}")
    return path


def _download(file: WheelFile, place: Path) -> None:
    """Download the wheel, never a source archive, since pip would run its code."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download", "--no-deps"]
    options = ["--only-binary", ":all:", "--dest", str(place), f"{file.package}=={file.version}"]
    try:
        pip = subprocess.run(
            [*command, *options], capture_output=True, text=True, timeout=DOWNLOAD_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise PackageError(f"pip failed to run: {fault}") from None
    if pip.returncode != 0:
        errors = [line for line in pip.stderr.splitlines() if line.startswith("ERROR")] or ["no reason given"]
        raise PackageError(
            f"{file.package} {file.version} could not be downloaded ({errors[-1].removeprefix('ERROR: ')}); "
            "check that this machine reaches the package index"
        )


def _extract(wheel: Path, path: str) -> Path:
    """Extract the file beside its wheel. A broken wheel is removed, so that the next attempt downloads it again."""
    target = wheel.parent / Path(path).name
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(path) as member, target.open("wb") as output:
            shutil.copyfileobj(member, output)
    except KeyError:
        raise PackageError(f"{wheel.name} has no file {path}") from None
    except zipfile.BadZipFile as fault:
        wheel.unlink()
        raise PackageError(f"{path} cannot be extracted from {wheel.name}: {fault}; try again") from None
    except OSError as fault:
        raise PackageError(f"{path} cannot be extracted from {wheel.name}: {fault}") from None
    return target
