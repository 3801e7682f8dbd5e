"""The wheel as a user gets it: built here, installed into an environment of its own, run from another folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from tests.integration.packaging.closure import ROOT, needed


def pip(*arguments: str | Path) -> None:
    """Run pip of this environment; what it said is part of the failure."""
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def build(project: Path, folder: Path) -> Path:
    """Return the wheel of a project."""
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, project)
    (wheel,) = folder.iterdir()
    return wheel


@dataclass(frozen=True, slots=True)
class Installation:
    """An environment with the wheel in it, and a folder to work in that knows nothing of the checkout."""

    environment: Path
    folder: Path

    @property
    def python(self) -> Path:
        return self.environment / "bin" / "python"

    def install(self, wheel: Path) -> None:
        pip("--python", self.python, "install", "--no-deps", "--no-index", wheel)

    def run(self, *command: str | Path) -> str:
        """Return what a program of the environment printed; it must end well."""
        name, *arguments = map(str, command)
        variables = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        done = subprocess.run(
            [str(self.environment / "bin" / name), *arguments],
            cwd=self.folder,
            env={**variables, "XDG_DATA_HOME": str(self.folder / "home")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def told(self, *arguments: str) -> Any:
        """Return the JSON of ``orchestrator ... --json``."""
        return json.loads(self.run("orchestrator", *arguments, "--json"))


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def wheel_from_sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel that is built from the source distribution, as a packager builds it."""
    folder = tmp_path_factory.mktemp("sdist")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (sdist,) = folder.iterdir()
    return build(sdist, tmp_path_factory.mktemp("wheel-from-sdist"))


@pytest.fixture(scope="session")
def installation(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """With exactly the distributions that the wheel asks for, linked from this environment."""
    folder = tmp_path_factory.mktemp("installation")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    (folder / "elsewhere").mkdir()
    made = Installation(folder / "venv", folder / "elsewhere")
    made.install(wheel)
    for distribution in needed(_requirements_in(wheel)).values():
        link(distribution, site)
    return made


def link(distribution: metadata.Distribution, site: Path) -> None:
    """Make the files of a distribution appear in another site-packages folder."""
    for file in distribution.files or ():
        source, target = Path(str(distribution.locate_file(file))), site / file
        if ".." in file.parts or not source.is_file():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except OSError:  # another file system
            shutil.copy2(source, target)


def _requirements_in(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return metadata.PathDistribution(zipfile.Path(archive, name.rpartition("/")[0] + "/")).requires or []  # type: ignore[arg-type]
