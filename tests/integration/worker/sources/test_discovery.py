"""What is found, described, refused and remembered."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from orchestrator.domain.errors import UnknownRecord
from orchestrator.domain.volume import Volume
from orchestrator.worker import Workers, discover
from tests.integration.worker.conftest import HEAD, Bench, subject

MANIFEST = 'contract = 1\nname = "{name}"\nversion = "3"\nruntime = "python"\nentry = "model"\n'


def model_folder(folder: Path, source: str, manifest: str = MANIFEST) -> Path:
    folder.mkdir(parents=True)
    (folder / "model.py").write_text(HEAD + textwrap.dedent(source))
    (folder / "model.toml").write_text(manifest.format(name=folder.name))
    return folder


def workers_of(*folders: Path, weights: Path) -> Workers:
    return Workers(discover(folders, entry_points=False), sandbox="required", weights=weights)


NAMELESS = """
from beside import VALUE

class Nameless:
    def predict(self, volume):
        return Result(notes={"value": VALUE})

@hookimpl
def register_models(register):
    register(Nameless())
"""


def test_a_model_folder_says_the_rest_in_its_manifest(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "models" / "lung", NAMELESS, MANIFEST + "resources = {{ memory_mb = 512 }}\n")
    (folder / "beside.py").write_text("VALUE = 'beside'")
    workers = workers_of(tmp_path / "models", weights=tmp_path)
    array = workers.allocate(tmp_path / "r", (1, 2, 2), np.int16)
    notes = workers.predict("lung", Volume(array, None), tmp_path / "r").notes
    workers.close()
    assert (workers.models()["lung"].version, workers.models()["lung"].resources.memory_mb) == ("3", 512)
    assert notes == {"value": "beside"}


def test_a_class_that_contradicts_its_manifest_is_refused(tmp_path: Path) -> None:
    workers = workers_of(model_folder(tmp_path / "lung", subject("pass")), weights=tmp_path)
    workers.close()
    assert "has name 'lung', but the model's class has 'subject'" in workers.listing()[0].error


def test_two_models_of_one_name_are_both_refused_naming_both(tmp_path: Path) -> None:
    manifest = MANIFEST.replace("{name}", "subject").replace('"3"', '"1"')
    folders = [model_folder(tmp_path / name / "model", subject("pass"), manifest) for name in ("a", "b")]
    workers = workers_of(*folders, weights=tmp_path)
    workers.close()
    assert workers.models() == {}
    for plugin in workers.listing():
        assert plugin.error == f"{folders[0]} and {folders[1]} both have a model named 'subject'"


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("def register_models(register): pass", "the plugin has no hook; decorate its functions with @hookimpl"),
        ("@hookimpl\ndef register_model(register): pass", "unknown hook 'register_model'"),
        ("@hookimpl\ndef register_models(register): register(object())", "has no method predict(volume)"),
        ("@hookimpl\ndef register_models(register): 1 / 0", "ZeroDivisionError"),
        ("import os; os.abort()", "ended unexpectedly: killed by SIGABRT"),
        (subject("pass", "name = 'No Name'"), "is not valid: models.0.name"),
        (subject("pass", "resources = Resources(memory_mb='much')"), "models.0.resources.memory_mb"),
        (
            subject("pass").replace("register(Subject())", "register(Subject(), manifest='/etc/hostname')"),
            "outside the folder of",
        ),
        (subject("pass") + "    register(Subject())", "the plugin registers two models named 'subject'"),
    ],
)
def test_a_broken_plugin_is_refused_and_the_others_live(tmp_path: Path, source: str, error: str) -> None:
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    (plugins / "broken.py").write_text(HEAD + source)
    (plugins / "sound.py").write_text(HEAD + subject("pass").replace("'subject'", "'sound'"))
    workers = Workers(discover([], [plugins], entry_points=False), sandbox="required", weights=tmp_path)
    workers.close()
    assert error in workers.listing()[0].error
    assert list(workers.models()) == ["sound"]


def test_what_is_wrong_with_a_manifest_is_listed(tmp_path: Path) -> None:
    workers = workers_of(model_folder(tmp_path / "lung", "", MANIFEST + "colour = 1"), weights=tmp_path)
    workers.close()
    assert "model.toml:6: unknown key 'colour'" in workers.listing()[0].error


def test_an_unknown_model_is_named_with_those_that_are_known(bench: Callable[..., Bench]) -> None:
    with pytest.raises(UnknownRecord, match="no model is named 'lung'; the models are subject"):
        bench(subject("pass")).predict(model="lung")


def test_a_plugin_is_described_once_until_it_changes(tmp_path: Path) -> None:
    source = subject("pass").replace("'subject'", "'lung'").replace("'1'", "'3'")
    folder = model_folder(tmp_path / "lung", source)
    digests = []
    for _ in range(2):
        workers = workers_of(folder, weights=tmp_path / "weights")
        digests.append(workers.models()["lung"].digest)
        workers.close()
        if len(digests) == 1:
            kept = list((tmp_path / "weights" / ".descriptions").iterdir())
    assert len(kept) == 1
    (folder / "beside.py").write_text("")
    workers = workers_of(folder, weights=tmp_path / "weights")
    workers.close()
    assert digests[0] == digests[1] != workers.models()["lung"].digest
    assert len(list((tmp_path / "weights" / ".descriptions").iterdir())) == 2


@pytest.fixture(scope="module")
def other_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give another environment that holds numpy and pluggy only, as a model's own would."""
    place = tmp_path_factory.mktemp("other") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    (packages,) = place.glob("lib/python*/site-packages")
    ours = Path(sysconfig.get_paths()["purelib"])
    for name in ("numpy", "numpy.libs", "pluggy"):
        shutil.copytree(ours / name, packages / name, ignore=shutil.ignore_patterns("tests", "*.pyi", "__pycache__"))
    (packages / "own_package.py").write_text("VALUE = 'own'")
    return place / "bin" / "python"


def test_a_model_runs_in_its_own_interpreter_and_sees_no_package_of_the_host(
    tmp_path: Path, other_python: Path
) -> None:
    source = """
    import importlib.util, own_package

    class Own:
        def predict(self, volume):
            seen = [name for name in ("pydantic", "pydicom", "onnxruntime") if importlib.util.find_spec(name)]
            return Result(notes={"value": own_package.VALUE, "seen": str(seen), "prefix": sys.prefix})

    @hookimpl
    def register_models(register):
        register(Own())
    """
    folder = model_folder(tmp_path / "own", source, MANIFEST + f'python = "{other_python}"\n')
    workers = workers_of(folder, weights=tmp_path)
    array = workers.allocate(tmp_path / "r", (1, 2, 2), np.int16)
    notes = workers.predict("own", Volume(array, None), tmp_path / "r").notes
    workers.close()
    assert notes == {"value": "own", "seen": "[]", "prefix": str(other_python.parent.parent)}


def test_code_that_an_environment_runs_at_its_start_runs_in_the_cage(tmp_path: Path, other_python: Path) -> None:
    (packages,) = other_python.parent.parent.glob("lib/python*/site-packages")
    mark = tmp_path / "mark"
    (packages / "evil.pth").write_text(f"import pathlib; pathlib.Path({str(mark)!r}).touch()\n")
    source = subject("pass").replace("'subject'", "'own'").replace("'1'", "'3'")
    folder = model_folder(tmp_path / "own", source, MANIFEST + f'python = "{other_python}"\n')
    workers_of(folder, weights=tmp_path).close()
    (packages / "evil.pth").unlink()
    assert not mark.exists()


def test_a_missing_interpreter_is_named(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "own", "", MANIFEST + 'python = ".venv/bin/python"\n')
    (source,) = discover([folder], entry_points=False)
    assert source.error == f"{folder}/model.toml: there is no interpreter {folder}/.venv/bin/python"


def test_a_folder_named_twice_is_one_model(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "models" / "lung", NAMELESS)
    assert [source.name for source in discover([tmp_path / "models", folder], entry_points=False)] == ["lung"]


def test_a_plugin_folder_may_be_the_plugin_itself(tmp_path: Path) -> None:
    (tmp_path / "lung").mkdir()
    (tmp_path / "lung" / "__init__.py").write_text(HEAD + subject("pass"))
    for place in (tmp_path, tmp_path / "lung", tmp_path / "lung" / "__init__.py"):
        assert [source.name for source in discover([], [place], entry_points=False)] == ["lung"]


def test_a_plugin_that_is_installed_from_a_folder_counts_once() -> None:
    (installed,) = [source for source in discover([]) if source.name == "bone-volume"]
    found = discover([], [installed.folders[0]])
    assert [source for source in found if source.name in {"bone-volume", "orchestrator_bone_volume"}] == [installed]
