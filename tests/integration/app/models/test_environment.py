"""``orchestrator models install``: a model's own packages, from its manifest, and nothing of the host's."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from orchestrator.domain.errors import EnvironmentMissing
from orchestrator.domain.volume import Volume
from orchestrator.worker import ModelSource, Workers, discover, install, is_ready

pytestmark = pytest.mark.xdist_group("own environment")  # made once

MANIFEST = """contract = 1
name = "plural"
version = "1"
runtime = "python"
entry = "model.py"
requirements = ["inflection==0.5.1"]
"""

MODEL = """
import importlib.util

import inflection

from orchestrator.sdk import Result, hookimpl


class Plural:
    def predict(self, volume):
        seen = [name for name in ("pydantic", "pydicom", "onnxruntime") if importlib.util.find_spec(name)]
        return Result(notes={"two": inflection.pluralize("lesion"), "seen": str(seen)})


@hookimpl
def register_models(register):
    register(Plural())
"""


def model_folder(folder: Path, manifest: str = MANIFEST) -> Path:
    folder.mkdir()
    (folder / "model.toml").write_text(manifest)
    (folder / "model.py").write_text(MODEL)
    return folder


def source_of(folder: Path) -> ModelSource:
    (source,) = discover([folder], entry_points=False)
    return source


def workers_of(folder: Path) -> Workers:
    return Workers([source_of(folder)], sandbox="required", weights=folder.parent / "weights")


def notes(workers: Workers, folder: Path) -> dict[str, str]:
    request = folder.parent / "request"
    array = workers.allocate(request, (1, 2, 2), np.int16)
    return dict(workers.predict("plural", Volume(array, None), request).notes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a model folder whose environment was installed while a host that knows the model was running."""
    folder = model_folder(tmp_path_factory.mktemp("models") / "plural")
    with closing(workers_of(folder)) as workers:
        with pytest.raises(EnvironmentMissing, match="run: orchestrator models install plural"):
            notes(workers, folder)
        install(source_of(folder), lambda line: None)
        (folder.parent / "said-while-running").write_text(str(notes(workers, folder)))
    return folder


def test_the_model_sees_its_own_packages_and_none_of_the_hosts(folder: Path) -> None:
    with closing(workers_of(folder)) as workers:
        assert notes(workers, folder) == {"two": "lesions", "seen": "[]"}


def test_a_running_host_takes_up_what_was_installed(folder: Path) -> None:
    assert (folder.parent / "said-while-running").read_text() == str({"two": "lesions", "seen": "[]"})


def test_installing_again_does_nothing(folder: Path) -> None:
    said: list[str] = []
    assert install(source_of(folder), said.append) == folder / ".venv"
    assert said == []


def test_an_environment_is_no_part_of_the_models_digest(folder: Path, tmp_path: Path) -> None:
    assert source_of(folder).digest == source_of(model_folder(tmp_path / "plural")).digest


def test_other_requirements_ask_for_another_environment(folder: Path, tmp_path: Path) -> None:
    other = model_folder(tmp_path / "plural", MANIFEST.replace("0.5.1", "0.5.0"))
    (other / ".venv").symlink_to(folder / ".venv")
    assert is_ready(source_of(folder))
    assert not is_ready(source_of(other))


def test_a_model_without_its_environment_is_listed_all_the_same(tmp_path: Path) -> None:
    with closing(workers_of(model_folder(tmp_path / "plural"))) as workers:
        assert workers.models()["plural"].version == "1"
        assert workers.listing()[0].error == ""


@pytest.mark.parametrize(
    ("manifest", "fault"),
    [
        (MANIFEST, "could not be installed: No matching distribution found for"),
        (MANIFEST + 'python = "python2.1"\n', "needs python = 'python2.1'; install that Python on this machine"),
    ],
)
def test_what_cannot_be_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manifest: str, fault: str
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(EnvironmentMissing, match=fault):
        install(source_of(model_folder(tmp_path / "plural", manifest)), lambda line: None)
    assert not is_ready(source_of(tmp_path / "plural"))


def test_a_plugin_that_asks_for_packages_of_its_own_is_refused(tmp_path: Path) -> None:
    package = model_folder(tmp_path / "plural")
    named = "from pathlib import Path\n" + MODEL.replace("import inflection\n", "")
    named = named.replace("Plural())", "Plural(), Path(__file__).with_name('model.toml'))")
    (package / "model.py").write_text(named)
    sources = discover([], [package / "model.py"], entry_points=False)
    with closing(Workers([replace(sources[0], folders=(package,))], sandbox="required", weights=tmp_path)) as workers:
        assert "only a model folder may have requirements" in workers.listing()[0].error


@pytest.mark.parametrize(
    ("requirement", "fault"),
    [
        ("scipy", "has no exact version"),
        ("scipy>=1.17", "has no exact version"),
        ("scipy==1.*", "has no exact version"),
        ("--index-url=http://elsewhere", "is not a requirement"),
        ("scipy @ https://elsewhere/scipy.whl", "has no exact version"),
    ],
)
def test_a_requirement_names_one_version(tmp_path: Path, requirement: str, fault: str) -> None:
    folder = model_folder(tmp_path / "plural", MANIFEST.replace("inflection==0.5.1", requirement))
    error = source_of(folder).error
    assert "model.toml:6" in error
    assert fault in error
