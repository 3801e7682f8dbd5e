"""Somebody else's plugin: a package of its own, found by its entry point, typed like ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.testing import synthetic_series
from tests.integration.packaging.conftest import Installation, build

pytestmark = pytest.mark.xdist_group("packaging")

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "outsider"
version = "3.2.1"

[project.entry-points.orchestrator]
outsider = "outsider"
"""
PLUGIN = '''
"""A model as an author writes it, with all types."""

from orchestrator.sdk import (
    Accepts,
    Finding,
    Geometry,
    Intended,
    Measurement,
    Presence,
    Register,
    Resources,
    Result,
    Segment,
    UnsupportedInput,
    Volume,
    codes,
    hookimpl,
)


class Outsider:
    name = "outsider"
    version = "3.2.1"
    intended = Intended(modality=("CT",), minimum_age_years=18)
    accepts = Accepts(geometry=Geometry.VOLUME, minimum_slices=2)
    resources = Resources(memory_mb=1024, timeout_seconds=30.0)

    def predict(self, volume: Volume) -> Result:
        if volume.spacing is None:
            raise UnsupportedInput("it has no place in the patient")
        dense = volume.voxels > 200
        return Result(
            segments=[Segment("Dense", dense, codes["calcification"])],
            findings=[Finding(codes["calcification"], Presence.PRESENT, score=0.9, segment="Dense")],
            measurements=[Measurement(codes["volume"], float(dense.sum()), "{voxels}", segment="Dense")],
        )


@hookimpl
def register_models(register: Register) -> None:
    register(Outsider())
'''
MISTAKEN = """
from orchestrator.sdk import Register, Result, Segment, Volume, codes

class Mistaken:
    name = "mistaken"
    version = "1"

    def predict(self, volume: Volume) -> list[Result]:
        return [Result(segments=[Segment("Dense", volume.voxels > 200, "calcification")])]

def register_models(register: Register) -> None:
    register(Mistaken())
"""


@pytest.fixture(scope="session")
def outsider(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the project's folder; it is installed."""
    folder = tmp_path_factory.mktemp("outsider")
    (folder / "outsider").mkdir()
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "outsider" / "__init__.py").write_text(PLUGIN)
    (folder / "outsider" / "py.typed").touch()
    installation.install(build(folder, tmp_path_factory.mktemp("outsider-wheel")))
    return folder


@pytest.mark.usefixtures("outsider")
def test_it_is_listed_with_its_version_and_origin(installation: Installation) -> None:
    (found,) = (plugin for plugin in installation.told("plugins") if plugin["name"] == "outsider")
    assert (found["version"], found["models"], found["error"]) == ("3.2.1", ["outsider"], "")
    assert "outsider 3.2.1" in found["origin"]


@pytest.mark.usefixtures("outsider")
def test_it_runs(installation: Installation) -> None:
    synthetic_series(installation.folder / "images", slices=12)
    installation.run("orchestrator", "models", "try", "outsider", "--input", "images", "--output", "tried")
    assert len(list((installation.folder / "tried").glob("*/*/*.dcm"))) == 2
    assert len(list((installation.folder / "tried").glob("*.png"))) == 1


def test_the_types_help_its_author(installation: Installation, outsider: Path) -> None:
    (outsider / "mistaken.py").write_text(MISTAKEN)
    command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", installation.python]
    checked = subprocess.run(
        [*map(str, command), "--cache-dir", str(outsider / "cache"), "outsider/__init__.py", "mistaken.py"],
        cwd=outsider,
        capture_output=True,
        text=True,
        check=False,
    )
    faults = [line for line in checked.stdout.splitlines() if ": error:" in line]
    assert [line.rpartition("[")[2] for line in faults] == ["arg-type]", "arg-type]"], checked.stdout
    assert all(line.startswith("mistaken.py") for line in faults)
