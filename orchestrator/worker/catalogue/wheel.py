"""Files that lie in wheels on the Python package index; nothing of a wheel is ever run."""

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


class InWheel(Protocol):
    """A file at ``path`` in the wheel of one version of a package; ``sha256`` is that of the file."""

    @property
    def package(self) -> str: ...  # noqa: D102 - said above

    @property
    def version(self) -> str: ...  # noqa: D102

    @property
    def path(self) -> str: ...  # noqa: D102

    @property
    def sha256(self) -> str: ...  # noqa: D102


def file_of_wheel(wanted: InWheel, folder: Path, log: Callable[[str], None]) -> Path:
    """Return the file, taken out of its wheel; pip downloads that into the folder unless it is there.

    Raises PackageError: no way to the package index, no such file in the wheel, another sha256 than declared.
    """
    place = folder / f"{wanted.package}-{wanted.version}"
    if not any(place.glob("*.whl")):
        log(f"downloading {wanted.package} {wanted.version}")
        _download(wanted, place)
    file = _taken_out(next(place.glob("*.whl")), wanted.path)
    if (found := sha256(file)) != wanted.sha256:
        raise PackageError(
            f"{wanted.path} of {wanted.package} {wanted.version} has the sha256 {found}, expected {wanted.sha256}"
        )
    return file


def _download(wanted: InWheel, place: Path) -> None:
    """Put the wheel there; never a source archive, since pip would run its code."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download", "--no-deps"]
    what = ["--only-binary", ":all:", "--dest", str(place), f"{wanted.package}=={wanted.version}"]
    try:
        done = subprocess.run([*pip, *what], capture_output=True, text=True, timeout=DOWNLOAD_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise PackageError(f"pip could not be run: {fault}") from None
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["no reason given"]
        raise PackageError(
            f"{wanted.package} {wanted.version} could not be downloaded ({said[-1].removeprefix('ERROR: ')}); "
            "is there a way to the package index from this machine?"
        )


def _taken_out(wheel: Path, path: str) -> Path:
    """Return the file beside its wheel. A wheel that is broken is removed, so that the next attempt fetches it anew."""
    target = wheel.parent / Path(path).name
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(path) as member, target.open("wb") as file:
            shutil.copyfileobj(member, file)
    except KeyError:
        raise PackageError(f"{wheel.name} holds no {path}") from None
    except zipfile.BadZipFile as fault:
        wheel.unlink()
        raise PackageError(f"{path} cannot be taken out of {wheel.name}: {fault}; try again") from None
    except OSError as fault:
        raise PackageError(f"{path} cannot be taken out of {wheel.name}: {fault}") from None
    return target
