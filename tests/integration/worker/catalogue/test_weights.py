"""Weights out of a wheel: fetched by pip from a local index, checked, converted in a cage, kept."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from orchestrator.domain.errors import PackageError, WeightsError
from orchestrator.domain.volume import Volume
from orchestrator.worker import CatalogueEntry, Workers, discover, pull, weights_folder

RAW = b"raw weights"
CONVERTED = b"RAW WEIGHTS"
MODEL = """
from orchestrator.sdk import *

class Model:
    def load(self, weights, device):
        self.weights = (weights / "w.bin").read_text()

    def predict(self, volume):
        return Result(notes={"weights": self.weights})

@hookimpl
def register_models(register):
    register(Model())
"""
CONVERT = "def shout(source, target):\n    target.write_bytes(source.read_bytes().upper())\n"
MANIFEST = f"""contract = 1
name = "weighty"
version = "1"
runtime = "python"
entry = "model"
[[weights]]
package = "some-weights"
version = "1.0"
path = "data/raw.bin"
sha256 = "{hashlib.sha256(RAW).hexdigest()}"
file = "w.bin"
"""
CONVERSION = f'convert = "converter:shout"\nfingerprint = "{hashlib.sha256(CONVERTED).hexdigest()}"\n'

Open = Callable[..., Workers]


@pytest.fixture(autouse=True)
def local_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give pip a folder as its only index."""
    index = tmp_path / "index"
    index.mkdir()
    with zipfile.ZipFile(index / "some_weights-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("data/raw.bin", RAW)
        wheel.writestr(
            "some_weights-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: some-weights\nVersion: 1.0\n"
        )
        wheel.writestr(
            "some_weights-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("some_weights-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    return index


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Give a function that opens the model with this manifest and converter."""
    built: list[Workers] = []

    def build(manifest: str = MANIFEST, convert: str = CONVERT) -> Workers:
        folder = tmp_path / "models" / "weighty"
        folder.mkdir(parents=True)
        (folder / "model.py").write_text(MODEL)
        (folder / "converter.py").write_text(convert)
        (folder / "model.toml").write_text(manifest)
        built.append(Workers(discover([folder], entry_points=False), sandbox="required", weights=tmp_path / "weights"))
        return built[-1]

    yield build
    for workers in built:
        workers.close()


def weighty(workers: Workers) -> CatalogueEntry:
    return workers.catalogue_entry("weighty")


def used(workers: Workers, folder: Path) -> str:
    array = workers.allocate(folder / "request", (1, 1, 1), np.int16)
    return workers.predict("weighty", Volume(array, None), folder / "request").notes["weights"]


def silent(_: str) -> None:
    """Say nothing."""


def test_a_model_without_its_weights_is_listed_and_says_what_to_do(opened: Open, tmp_path: Path) -> None:
    workers = opened()
    assert list(workers.models()) == ["weighty"]
    with pytest.raises(WeightsError, match="run: orchestrator models pull weighty"):
        used(workers, tmp_path)


def test_pulled_weights_are_given_to_the_model(opened: Open, tmp_path: Path) -> None:
    workers = opened()
    pull(weighty(workers), tmp_path / "weights", silent)
    assert used(workers, tmp_path) == RAW.decode()


def test_weights_are_converted_by_the_models_own_code(opened: Open, tmp_path: Path) -> None:
    workers = opened(MANIFEST + CONVERSION)
    pull(weighty(workers), tmp_path / "weights", silent)
    assert used(workers, tmp_path) == CONVERTED.decode()


def test_weights_are_fetched_once(opened: Open, tmp_path: Path, local_index: Path) -> None:
    model = weighty(opened())
    first = pull(model, tmp_path / "weights", silent)
    next(local_index.iterdir()).unlink()
    assert first == pull(model, tmp_path / "weights", silent) == weights_folder(model, tmp_path / "weights")


@pytest.mark.parametrize(
    ("change", "by", "sentence"),
    [
        (hashlib.sha256(RAW).hexdigest(), "0" * 64, "data/raw.bin of .* has SHA-256 .*, expected 0000"),
        ("data/raw.bin", "data/other.bin", "has no file data/other.bin"),
        ('version = "1.0"', 'version = "2.0"', "some-weights 2.0 could not be downloaded .* package index"),
    ],
)
def test_what_is_not_as_declared_is_refused_and_nothing_is_kept(
    opened: Open, tmp_path: Path, change: str, by: str, sentence: str
) -> None:
    with pytest.raises(PackageError, match=sentence):
        pull(weighty(opened(MANIFEST.replace(change, by))), tmp_path / "weights", silent)
    assert list((tmp_path / "weights" / "weighty").iterdir()) == []


@pytest.mark.parametrize(
    ("convert", "sentence"),
    [
        (CONVERT.replace("upper", "lower"), "wrote w.bin with SHA-256 .*, expected"),
        ("def shout(source, target): raise KeyError('x')", "converter:shout failed: KeyError: 'x'"),
        ("def shout(source, target): pass", "converter:shout did not write w.bin"),
        ("def shout(source, target): source.write_text('x')", "converter:shout failed: PermissionError"),
        ("import socket\ndef shout(source, target): socket.socket()", "converter:shout failed: PermissionError"),
    ],
)
def test_a_conversion_that_fails_is_one_sentence(opened: Open, tmp_path: Path, convert: str, sentence: str) -> None:
    with pytest.raises(WeightsError, match=sentence):
        pull(weighty(opened(MANIFEST + CONVERSION, convert)), tmp_path / "weights", silent)
    assert list((tmp_path / "weights" / "weighty").iterdir()) == []
