"""What is in the wheel, and that it works where there is no checkout."""

from __future__ import annotations

import tomllib
import zipfile
from pathlib import Path

import pytest

import orchestrator
from tests.integration.packaging.conftest import ROOT, Installation

pytestmark = pytest.mark.xdist_group("packaging")
PLUGINS = sorted((ROOT / "plugins").glob("*/orchestrator_*"))
MODELS = sorted(path.parent.name for path in (ROOT / "models").glob("*/model.toml"))


@pytest.fixture(scope="session")
def names(wheel: Path) -> frozenset[str]:
    return frozenset(zipfile.ZipFile(wheel).namelist())


def _files(folder: Path, *endings: str) -> set[str]:
    return {path.relative_to(ROOT).as_posix() for path in folder.rglob("*") if path.suffix in endings}


@pytest.mark.parametrize("endings", [(".py", ".typed"), (".html", ".css", ".js", ".svg"), (".toml",)])
def test_the_package_is_whole(names: frozenset[str], endings: tuple[str, ...]) -> None:
    expected = _files(ROOT / "orchestrator", *endings)
    assert expected
    assert expected <= names


@pytest.mark.parametrize("model", MODELS)
def test_a_shipped_model_is_there_with_its_card(names: frozenset[str], model: str) -> None:
    folder = f"orchestrator/shipped/models/{model}"
    file = tomllib.loads((ROOT / "models" / model / "model.toml").read_text()).get("file", "model.toml")
    assert {f"{folder}/model.toml", f"{folder}/MODEL_CARD.md", f"{folder}/{file}"} <= names


@pytest.mark.parametrize("package", PLUGINS, ids=lambda path: path.name)
def test_a_plugin_is_there_with_its_card(names: frozenset[str], package: Path) -> None:
    expected = {f"{package.name}/{path.name}" for path in package.iterdir() if path.suffix in {".py", ".toml", ".md"}}
    assert f"{package.name}/MODEL_CARD.md" in expected
    assert expected <= names


def test_nothing_is_there_that_belongs_to_the_checkout(names: frozenset[str]) -> None:
    assert not [name for name in names if "__pycache__" in name or name.startswith(("tests/", "benchmarks/", "docs/"))]


def test_the_sdist_builds_the_same_wheel(names: frozenset[str], wheel: Path, wheel_from_sdist: Path) -> None:
    assert wheel_from_sdist.name == wheel.name
    assert frozenset(zipfile.ZipFile(wheel_from_sdist).namelist()) == names


def test_the_command_runs_from_the_wheel(installation: Installation) -> None:
    assert installation.run("orchestrator", "--version").strip() == orchestrator.__version__
    place = installation.run("python", "-c", "import orchestrator; print(orchestrator.__file__)")
    assert Path(place.strip()).is_relative_to(installation.environment)


def test_shipped_models_are_found(installation: Installation) -> None:
    shipped = {*MODELS, *(path.name.removeprefix("orchestrator_").replace("_", "-") for path in PLUGINS)}
    assert shipped <= {model["name"] for model in installation.told("models", "list")}


def test_no_shipped_plugin_is_refused(installation: Installation) -> None:
    assert [plugin["error"] for plugin in installation.told("plugins") if plugin["error"]] == []
