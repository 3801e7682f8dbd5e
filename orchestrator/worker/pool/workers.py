"""Runs models: one warm process for each, kept in a cage, asked one volume at a time."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from orchestrator.domain.errors import (
    DeviceUnavailable,
    ManifestError,
    ModelRaised,
    OrchestratorError,
    SandboxUnavailable,
    StorageFull,
    UnknownRecord,
)
from orchestrator.domain.model import ModelDescription
from orchestrator.domain.plugin import PluginListing
from orchestrator.domain.ports import Prediction
from orchestrator.domain.remote import ModelServers
from orchestrator.domain.volume import Volume
from orchestrator.durable import sync_file, write_durably
from orchestrator.worker.catalogue.cache import Descriptions
from orchestrator.worker.catalogue.catalogue import (
    CataloguedModel,
    Described,
    read_report,
    refused,
    undescribed,
    without_conflicts,
)
from orchestrator.worker.catalogue.weights import weights_folder
from orchestrator.worker.devices.devices import CPU, Device, candidates, find_devices
from orchestrator.worker.pool.placement import Placement
from orchestrator.worker.pool.remote import check_allowed, look
from orchestrator.worker.pool.warm import WarmModel
from orchestrator.worker.process.launch import Launcher
from orchestrator.worker.process.process import Sandbox
from orchestrator.worker.protocol import exchange
from orchestrator.worker.protocol.result import Answer, read_result
from orchestrator.worker.sources.discovery import ModelSource
from orchestrator.worker.sources.environment import check_ready, is_ready

DESCRIBE_SECONDS = 60.0
DESCRIBE_MEMORY_MB = 4096
LONGEST_MESSAGE = 400

_log = logging.getLogger(__name__)


class Workers:
    """Implements domain.ports.Runner; safe to be used by several threads."""

    def __init__(
        self,
        sources: Sequence[ModelSource],
        *,
        sandbox: Sandbox = "required",
        weights: Path,
        devices: Sequence[Device] | None = None,
        servers: ModelServers | None = None,
        log: logging.Logger = _log,
    ) -> None:
        """Describe all sources, each in a process of its own.

        weights: the folder that ``pull`` puts weights into.
        devices: what models may run on; None = all that this machine has.
        servers: the way to model servers; without it a remote model is refused.
        Raises SandboxUnavailable where the cage that is required cannot be had.
        """
        self.devices = find_devices() if devices is None else tuple(devices)
        self._weights = weights
        self._servers = servers
        self._launcher = Launcher(sandbox)
        self._descriptions = Descriptions(weights / ".descriptions")
        try:
            with ThreadPoolExecutor(os.cpu_count(), "describe") as pool:
                self._described = without_conflicts(pool.map(self._describe, sources))
        except BaseException:
            self._launcher.close()
            raise
        models = [model for each in self._described for model in each.models]
        self._models = {model.description.name: WarmModel(model) for model in models}
        self._placement = Placement(self.devices, self._models, self._load, log)

    def models(self) -> Mapping[str, ModelDescription]:
        """Return the models that can be run, by name."""
        return {name: warm.model.description for name, warm in self._models.items()}

    def listing(self) -> tuple[PluginListing, ...]:
        """Return every plugin and model folder that was found, and why it is refused where it is."""
        return tuple(described.listing for described in self._described)

    def catalogued(self, model: str) -> CataloguedModel:
        """Return the model with its source and manifest.

        Raises UnknownRecord, with the reason where a model of that name was refused.
        """
        return self._model(model).model

    def check_device(self, model: str) -> None:
        """Return where this machine has a device for the model.

        Raises DeviceUnavailable, UnknownRecord.
        """
        candidates(self._model(model).model.description, self.devices)

    def allocate(self, folder: Path, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Return a writable array, memory-mapped in the folder, that the worker will map too.

        Raises StorageFull.
        """
        path = folder / "input" / "voxels.raw"
        path.parent.mkdir(parents=True, exist_ok=True)
        _reserve(path, int(np.prod(shape)) * np.dtype(dtype).itemsize)
        return np.memmap(path, dtype=dtype, mode="r+", shape=shape)

    def warm(self, model: str) -> None:
        """Start the model's process and load the model, if that is not done yet.

        Raises WeightsError, UnknownRecord or an InferenceError.
        """
        warm = self._model(model)
        with warm.lock:
            self._placement.run(warm, lambda: None)

    def rest(self, model: str) -> None:
        """End the model's process once it is idle; its next use starts it again."""
        warm = self._model(model)
        with warm.lock:
            self._placement.leave(warm)

    def rest_idle(self, seconds: float) -> None:
        """End the processes that nobody asked for so long."""
        for warm in self._models.values():
            if time.monotonic() - warm.used >= seconds and warm.lock.acquire(blocking=False):
                try:
                    self._placement.leave(warm)
                finally:
                    warm.lock.release()

    def predict(self, model: str, volume: Volume, folder: Path) -> Prediction:
        """Return the model's checked result, kept in the folder as well.

        volume.voxels must be the array that ``allocate`` gave for the folder.
        Raises NotApplicable, UnsupportedInput, InvalidResult, WeightsError or an InferenceError.
        """
        warm = self._model(model)
        self._put_input(volume, folder)

        def ask() -> Answer:
            with _RequestFiles(folder) as files:
                return warm.ask({"ask": "predict"}, files, folder)

        with warm.lock:
            answer, notes = self._placement.run(warm, ask)
            device = warm.device.name
        told = {"shape": volume.shape, "device": device, "seconds": answer.seconds, "notes": notes}
        return self._finish(folder, told)

    def kept(self, folder: Path) -> Prediction:
        """Return the prediction that ``predict`` left in the folder, after a restart too.

        Raises UnknownRecord where there is none.
        """
        try:
            told = json.loads((folder / "output" / "prediction.json").read_text())
        except FileNotFoundError:
            raise UnknownRecord(f"no prediction is kept in {folder}") from None
        return _prediction(folder, told)

    def output(self, model: str) -> str:
        """Return what the model's process printed lately; for its author only."""
        process = self._model(model).process
        return "" if process is None else process.output

    def peak_memory_mb(self, model: str) -> float | None:
        """Return the most memory that the model's process held at once, None where it does not run."""
        process = self._model(model).process
        return None if process is None else process.peak_memory_mb

    def close(self) -> None:
        """End all processes, those at work too, and remove what they left."""
        self._placement.close()
        for warm in self._models.values():
            if warm.process is not None:
                warm.process.stop()
        for warm in self._models.values():
            with warm.lock:
                warm.end()
        self._launcher.close()

    def _model(self, model: str) -> WarmModel:
        try:
            return self._models[model]
        except KeyError:
            raise UnknownRecord(self._why_not(model)) from None

    def _why_not(self, model: str) -> str:
        reasons = [each.listing.error for each in self._described if model in each.refused]
        return "; ".join(reasons) or f"no model is named {model!r}; known are {', '.join(sorted(self._models))}"

    def _describe(self, source: ModelSource) -> Described:
        if source.error:
            return refused(source, source.error)
        if not is_ready(source):
            return undescribed(source)
        try:
            check_allowed(source, self._servers)
            return read_report(source, self._descriptions.find(source) or self._ask_to_describe(source))
        except SandboxUnavailable:
            raise
        except OrchestratorError as fault:
            return refused(source, fault)

    def _ask_to_describe(self, source: ModelSource) -> dict[str, Any]:
        memory_mb, seconds = _needs_to_describe(source)
        process = self._launcher.start(source, memory_mb)
        try:
            report = process.ask({"ask": "describe"}, seconds)
        finally:
            process.kill()
        if "error" in report:
            raise ModelRaised(
                str(report.get("message", ""))[:LONGEST_MESSAGE] or "it needs too much memory to describe itself"
            )
        self._descriptions.keep(source, report)
        return report

    def _load(self, warm: WarmModel, device: Device) -> None:
        """Load the model in a new process; called with its lock held and its place on the device given.

        Raises DeviceUnavailable where its runtime cannot use the GPU.
        """
        check_ready(warm.model.source)
        if not warm.model.key:
            warm.model = self._newly_installed(warm.model)
        warm.served = look(warm.model.source, self._servers)
        weights = weights_folder(warm.model, self._weights)
        read = [weights] if weights else []
        warm.device = device
        warm.process = self._launcher.start(warm.model.source, warm.resources.memory_mb, device=device, read=read)
        told = {
            "model": warm.model.key,
            "weights": str(weights) if weights else None,
            "device": device.inside,
            "served": warm.served.told() if warm.served else None,
        }
        answer = warm.ask({"ask": "load", **told})
        if device.is_gpu and answer.device == CPU:
            warm.end()
            warm.no_gpu = f"ran on cpu because its runtime cannot use {device.name}"
            raise DeviceUnavailable(f"{warm.name} was given {device.name}, and its runtime offers only the CPU")
        warm.provider, warm.loaded = answer.provider, True

    def _newly_installed(self, model: CataloguedModel) -> CataloguedModel:
        """Return the model as it describes itself, now that its environment was installed.

        Raises ManifestError or an InferenceError.
        """
        described = read_report(model.source, self._ask_to_describe(model.source))
        named = [found for found in described.models if found.description.name == model.description.name]
        if not named:
            raise ManifestError(f"{model.source.name} registers no model {model.description.name!r}")
        return named[0]

    def _put_input(self, volume: Volume, folder: Path) -> None:
        (folder / "output" / "prediction.json").unlink(missing_ok=True)
        voxels = folder / "input" / "voxels.raw"
        if not voxels.exists() or voxels.stat().st_size != volume.voxels.nbytes:
            raise ValueError("the voxels of the volume are not the array that allocate() gave for this folder")
        document = json.dumps(exchange.volume_document(volume), default=exchange.plain_number)
        (folder / "input" / "volume.json").write_text(document)

    def _finish(self, folder: Path, told: Mapping[str, Any]) -> Prediction:
        """Check the result and leave a note that it is whole; on disk before anybody relies on it."""
        output = folder / "output"
        prediction = _prediction(folder, told)
        for name in ("result.json", "masks.raw", "maps.raw"):
            sync_file(output / name)
        write_durably(output / "prediction.json", json.dumps(told).encode(), mode=0o666)
        return prediction


def _needs_to_describe(source: ModelSource) -> tuple[int, float]:
    """Return MB and seconds: a declared network is loaded for it, and tried where it does not say its shape."""
    if source.manifest is None or source.manifest.runtime == "python":
        return DESCRIBE_MEMORY_MB, DESCRIBE_SECONDS
    declared = source.manifest.resources
    return max(DESCRIBE_MEMORY_MB, declared.memory_mb), max(DESCRIBE_SECONDS, declared.timeout_seconds)


def _reserve(path: Path, size: int) -> None:
    """Make a file of this size, its blocks included: writing to a mapped hole of a full disk kills the process."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.posix_fallocate(file, 0, size)
    except OSError as fault:
        raise StorageFull(f"no room for a volume of {size >> 20} MiB in {path.parent}: {fault.strerror}") from None
    finally:
        os.close(file)


class _RequestFiles:
    """The five files of a request, open: voxels and volume to read, masks, maps and result to write."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: list[int] = []

    def __enter__(self) -> list[int]:
        (self._folder / "output").mkdir(exist_ok=True)
        for name in ("input/voxels.raw", "input/volume.json"):
            self._open.append(os.open(self._folder / name, os.O_RDONLY))
        for name in ("output/masks.raw", "output/maps.raw", "output/result.json"):
            self._open.append(os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600))
        return self._open

    def __exit__(self, *_: object) -> None:
        for file in self._open:
            os.close(file)


def _prediction(folder: Path, told: Mapping[str, Any]) -> Prediction:
    slices, rows, columns = told["shape"]
    output = folder / "output"
    result = read_result(output / "result.json", output / "masks.raw", output / "maps.raw", (slices, rows, columns))
    return Prediction(result, str(told["device"]), float(told["seconds"]), {**result.notes, **told.get("notes", {})})
