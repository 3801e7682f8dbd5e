"""``orchestrator models new``: what it makes runs, passes its own tests and keeps the contract, unchanged."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from orchestrator.app.models.contract import check_model
from orchestrator.app.models.locate import locate
from orchestrator.app.models.scaffold import new_model
from orchestrator.app.models.try_out import try_model
from orchestrator.config import Settings, load_settings
from orchestrator.domain.errors import UserError
from orchestrator.testing import synthetic_series

pytestmark = pytest.mark.xdist_group("models new")  # each kind is made once
KINDS = ("python", "onnx")
EXPECTED = {
    "python": {
        *("README.md", "MODEL_CARD.md", "pyproject.toml", ".gitignore", ".github/workflows/test.yml"),
        *("lung_nodule/__init__.py", "lung_nodule/model.py", "tests/test_model.py"),
    },
    "onnx": {"README.md", "MODEL_CARD.md", "model.toml", "model.onnx"},
}


@pytest.fixture(scope="module")
def settings(weights: Path) -> Settings:
    return load_settings(None, {"ORCHESTRATOR_MODELS__WEIGHTS": str(weights)})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: new_model("lung-nodule", tmp_path_factory.mktemp(kind), onnx=kind == "onnx") for kind in KINDS}


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", KINDS)
def test_everything_is_there_and_names_the_model(kind: str, made: dict[str, Path]) -> None:
    assert EXPECTED[kind] <= files(made[kind])
    assert "lung-nodule" in (made[kind] / "README.md").read_text()
    assert not any("{{" in (made[kind] / name).read_text() for name in EXPECTED[kind] - {"model.onnx"})


@pytest.mark.parametrize("kind", KINDS)
def test_it_keeps_the_contract_as_it_is(kind: str, made: dict[str, Path], settings: Settings) -> None:
    name, effective = locate(str(made[kind]), settings)
    report = check_model(name, effective)
    assert report.model.name == "lung-nodule"
    assert [clause for clause in report.clauses if clause.mark == "failed"] == []


@pytest.mark.parametrize("kind", KINDS)
def test_it_can_be_tried_as_it_is(kind: str, made: dict[str, Path], settings: Settings, tmp_path: Path) -> None:
    synthetic_series(tmp_path / "images", slices=10)
    name, effective = locate(str(made[kind]), settings)
    tried = try_model(name, tmp_path / "images", tmp_path / "out", effective)
    assert [item.outcome for item in tried.report.outcomes] == ["done"]
    assert len(tried.pictures) == 1


def test_the_tests_of_a_package_pass_as_they_are_and_are_well_written(made: dict[str, Path]) -> None:
    folder = made["python"]
    ruff = [sys.executable, "-m", "ruff"]
    for command in ([sys.executable, "-m", "pytest", "-q"], [*ruff, "check", "."], [*ruff, "format", "--check", "."]):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=os.environ, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_tests_of_a_package_fail_when_its_model_is_wrong(tmp_path: Path) -> None:
    folder = new_model("lung-nodule", tmp_path, onnx=False)
    model = folder / "lung_nodule" / "model.py"
    model.write_text(model.read_text().replace("volume.voxels >", "volume.voxels[:, :, ::-1] >"))
    command = [sys.executable, "-m", "pytest", "-q"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=os.environ, check=False)
    assert done.returncode == 1
    assert "overlaps the lesion with Dice" in done.stdout


def test_a_package_is_found_by_the_host_once_it_is_installed(made: dict[str, Path]) -> None:
    project = tomllib.loads((made["python"] / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["orchestrator"] == {"lung-nodule": "lung_nodule"}
    defined = ast.parse((made["python"] / "lung_nodule" / "model.py").read_text()).body
    assert {"LungNodule", "register_models"} <= {node.name for node in defined if hasattr(node, "name")}


def test_the_example_of_the_reference_passes_on_a_new_package(tmp_path: Path) -> None:
    folder = new_model("liver-lesion", tmp_path, onnx=False)
    page = (Path(__file__).parents[4] / "docs/reference/testing-kit.md").read_text("utf-8")
    (folder / "tests" / "test_model.py").write_text(page.partition("```python\n")[2].partition("```")[0])
    command = [sys.executable, "-m", "pytest", "-q"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=os.environ, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "7 passed" in done.stdout


def test_the_workflow_tests_and_checks(made: dict[str, Path]) -> None:
    workflow = yaml.safe_load((made["python"] / ".github/workflows/test.yml").read_text())
    steps = [step.get("run", "") for step in workflow["jobs"]["test"]["steps"]]
    assert {"pytest", "orchestrator models check . --json check.json"} <= set(steps)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "lung-nodule").mkdir()
    (tmp_path / "lung-nodule" / "mine").write_text("mine")
    with pytest.raises(UserError, match="exists already; nothing was changed"):
        new_model("lung-nodule", tmp_path, onnx=True)
    assert files(tmp_path) == {"lung-nodule/mine"}


@pytest.mark.parametrize(
    "name", ["Lung", "lung_nodule", "1-lung", "lung--nodule", "lung-", "", "l/ung", "..", "x" * 65]
)
def test_a_name_that_cannot_be_one_is_refused_with_an_example(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="such as liver-lesion"):
        new_model(name, tmp_path, onnx=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["numpy", "json", "class", "tests", "orchestrator", "orchestrator-bone-volume"])
def test_a_package_hides_no_other_module(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="would hide the Python module"):
        new_model(name, tmp_path, onnx=False)


@pytest.mark.parametrize(
    ("project", "fault"),
    [
        ("[project]\nname = 'x'", "names no model"),
        ("[project.entry-points.orchestrator]\nx = 'not_here'", "names the module not_here, which is in neither"),
        ("no toml", "names no model"),
    ],
)
def test_a_folder_without_a_model_is_named(project: str, fault: str, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(project)
    with pytest.raises(UserError, match=fault):
        locate(str(tmp_path), settings)


def test_a_package_of_several_models_asks_which(made: dict[str, Path], settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project.entry-points.orchestrator]\nx = 'two'")
    (tmp_path / "two.py").write_text(
        "from orchestrator.sdk import hookimpl\n\n"
        "class Model:\n    version = '1'\n    def predict(self, v): ...\n"
        "    def __init__(self, name): self.name = name\n\n"
        "@hookimpl\ndef register_models(register):\n    register(Model('one'))\n    register(Model('two'))\n"
    )
    with pytest.raises(UserError, match="the package registers one, two, expected one model"):
        locate(str(tmp_path), settings)


def test_a_name_or_a_file_is_as_good_as_a_folder(made: dict[str, Path], settings: Settings) -> None:
    assert locate("bone-volume", settings) == ("bone-volume", settings)
    assert locate(str(made["onnx"] / "model.toml"), settings)[0] == "lung-nodule"
