"""Runs models, each in a warm caged process that predicts one volume at a time."""

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
from orchestrator.worker.catalogue.cache import ReportCache
from orchestrator.worker.catalogue.catalogue import (
    CatalogueEntry,
    SourceDescription,
    describe_from_manifest,
    read_report,
    refuse,
    refuse_conflicts,
)
from orchestrator.worker.catalogue.weights import weights_folder
from orchestrator.worker.devices.devices import CPU, Device, candidates, find_devices
from orchestrator.worker.pool.placement import Placement
from orchestrator.worker.pool.remote import check_allowed, inspect_network
from orchestrator.worker.pool.warm import WarmModel
from orchestrator.worker.process.launch import Launcher
from orchestrator.worker.process.process import Sandbox
from orchestrator.worker.protocol import exchange
from orchestrator.worker.protocol.result import ModelAnswer, read_result
from orchestrator.worker.sources.discovery import ModelSource
from orchestrator.worker.sources.environment import check_ready, is_ready

DESCRIBE_SECONDS = 60.0
DESCRIBE_MEMORY_MB = 4096
LONGEST_MESSAGE = 400

_log = logging.getLogger(__name__)


class Workers:
    """Implements domain.ports.Runner; several threads may use it."""

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
        """Ask all sources for their models, each in a process of its own.

        weights: the folder of pulled weights.
        devices: the devices that models may use; None = all of this machine.
        servers: access to model servers; without it remote models are refused.
        Raises SandboxUnavailable if the machine cannot provide the required cage.
        """
        self.devices = find_devices() if devices is None else tuple(devices)
        self._weights = weights
        self._servers = servers
        self._launcher = Launcher(sandbox)
        self._reports = ReportCache(weights / ".descriptions")
        try:
            with ThreadPoolExecutor(os.cpu_count(), "describe") as pool:
                self._sources = refuse_conflicts(pool.map(self._describe, sources))
        except BaseException:
            self._launcher.close()
            raise
        models = [model for source in self._sources for model in source.models]
        self._models = {model.description.name: WarmModel(model) for model in models}
        self._placement = Placement(self.devices, self._models, self._load, log)

    def models(self) -> Mapping[str, ModelDescription]:
        """Return the models that can run, by name."""
        return {name: warm.model.description for name, warm in self._models.items()}

    def listing(self) -> tuple[PluginListing, ...]:
        """Return every plugin and model folder, with the error of those that are refused."""
        return tuple(source.listing for source in self._sources)

    def catalogue_entry(self, model: str) -> CatalogueEntry:
        """Return the model with its source and manifest.

        Raises UnknownRecord; its message says why if a model of that name was refused.
        """
        return self._model(model).model

    def check_device(self, model: str) -> None:
        """Return if this machine has a device for the model.

        Raises DeviceUnavailable, UnknownRecord.
        """
        candidates(self._model(model).model.description, self.devices)

    def allocate(self, folder: Path, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Return a writable array, memory-mapped from a file in the folder; the model process maps it too.

        Raises StorageFull.
        """
        path = folder / "input" / "voxels.raw"
        path.parent.mkdir(parents=True, exist_ok=True)
        _reserve(path, int(np.prod(shape)) * np.dtype(dtype).itemsize)
        return np.memmap(path, dtype=dtype, mode="r+", shape=shape)

    def warm(self, model: str) -> None:
        """Start the model's process and load the model, unless it is loaded already.

        Raises WeightsError, UnknownRecord or an InferenceError.
        """
        warm = self._model(model)
        with warm.lock:
            self._placement.run(warm, lambda: None)

    def rest(self, model: str) -> None:
        """End the model's process once it is idle; the next use starts it again."""
        warm = self._model(model)
        with warm.lock:
            self._placement.leave(warm)

    def rest_idle(self, seconds: float) -> None:
        """End the processes that were idle for at least this time."""
        for warm in self._models.values():
            if time.monotonic() - warm.last_use >= seconds and warm.lock.acquire(blocking=False):
                try:
                    self._placement.leave(warm)
                finally:
                    warm.lock.release()

    def predict(self, model: str, volume: Volume, folder: Path) -> Prediction:
        """Return the model's checked result and store it in the folder.

        volume.voxels must be the array that ``allocate`` returned for the folder.
        Raises NotApplicable, UnsupportedInput, InvalidResult, WeightsError or an InferenceError.
        """
        warm = self._model(model)
        self._write_input(volume, folder)

        def ask() -> ModelAnswer:
            with _RequestFiles(folder) as files:
                return warm.ask({"ask": "predict"}, files, folder)

        with warm.lock:
            answer, notes = self._placement.run(warm, ask)
            device = warm.device.name
        record = {"shape": volume.shape, "device": device, "seconds": answer.seconds, "notes": notes}
        return self._finish(folder, record)

    def kept(self, folder: Path) -> Prediction:
        """Return the prediction that ``predict`` stored in the folder, even before a restart.

        Raises UnknownRecord if there is none.
        """
        try:
            record = json.loads((folder / "output" / "prediction.json").read_text())
        except FileNotFoundError:
            raise UnknownRecord(f"there is no prediction in {folder}") from None
        return _prediction(folder, record)

    def output(self, model: str) -> str:
        """Return what the model's process printed last; for the author of the model only."""
        process = self._model(model).process
        return "" if process is None else process.output

    def peak_memory_mb(self, model: str) -> float | None:
        """Return the peak memory of the model's process, None where it does not run."""
        process = self._model(model).process
        return None if process is None else process.peak_memory_mb

    def close(self) -> None:
        """End all processes, even during a request, and remove their files."""
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
            raise UnknownRecord(self._explain_absence(model)) from None

    def _explain_absence(self, model: str) -> str:
        reasons = [each.listing.error for each in self._sources if model in each.refused]
        return "; ".join(reasons) or f"no model is named {model!r}; the models are {', '.join(sorted(self._models))}"

    def _describe(self, source: ModelSource) -> SourceDescription:
        if source.error:
            return refuse(source, source.error)
        if not is_ready(source):
            return describe_from_manifest(source)
        try:
            check_allowed(source, self._servers)
            return read_report(source, self._reports.find(source) or self._request_report(source))
        except SandboxUnavailable:
            raise
        except OrchestratorError as fault:
            return refuse(source, fault)

    def _request_report(self, source: ModelSource) -> dict[str, Any]:
        memory_mb, seconds = _limits_of_describing(source)
        process = self._launcher.start(source, memory_mb)
        try:
            report = process.ask({"ask": "describe"}, seconds)
        finally:
            process.kill()
        if "error" in report:
            raise ModelRaised(
                str(report.get("message", ""))[:LONGEST_MESSAGE] or "the plugin ran out of memory while it loaded"
            )
        self._reports.store(source, report)
        return report

    def _load(self, warm: WarmModel, device: Device) -> None:
        """Load the model in a new process; the caller holds its lock and its memory on the device.

        Raises DeviceUnavailable if the runtime of the model cannot use the GPU.
        """
        check_ready(warm.model.source)
        if not warm.model.key:
            warm.model = self._describe_again(warm.model)
        warm.served = inspect_network(warm.model.source, self._servers)
        weights = weights_folder(warm.model, self._weights)
        read = [weights] if weights else []
        warm.device = device
        warm.process = self._launcher.start(warm.model.source, warm.resources.memory_mb, device=device, read=read)
        request = {
            "model": warm.model.key,
            "weights": str(weights) if weights else None,
            "device": device.inside,
            "served": warm.served.to_json() if warm.served else None,
        }
        answer = warm.ask({"ask": "load", **request})
        if device.is_gpu and answer.device == CPU:
            warm.end()
            warm.no_gpu = f"ran on cpu because its runtime cannot use {device.name}"
            raise DeviceUnavailable(f"the runtime of {warm.name} cannot use {device.name}")
        warm.provider, warm.loaded = answer.provider, True

    def _describe_again(self, model: CatalogueEntry) -> CatalogueEntry:
        """Return the model with the report of its process, after its environment was installed.

        Raises ManifestError or an InferenceError.
        """
        source = read_report(model.source, self._request_report(model.source))
        matches = [entry for entry in source.models if entry.description.name == model.description.name]
        if not matches:
            raise ManifestError(f"{model.source.name} registers no model {model.description.name!r}")
        return matches[0]

    def _write_input(self, volume: Volume, folder: Path) -> None:
        (folder / "output" / "prediction.json").unlink(missing_ok=True)
        voxels = folder / "input" / "voxels.raw"
        if not voxels.exists() or voxels.stat().st_size != volume.voxels.nbytes:
            raise ValueError("the voxels of the volume are not the array that allocate() returned for this folder")
        document = json.dumps(exchange.volume_document(volume), default=exchange.plain_number)
        (folder / "input" / "volume.json").write_text(document)

    def _finish(self, folder: Path, record: Mapping[str, Any]) -> Prediction:
        """Check the result and store prediction.json, which marks the result as complete, durably."""
        output = folder / "output"
        prediction = _prediction(folder, record)
        for name in ("result.json", "masks.raw", "maps.raw"):
            sync_file(output / name)
        write_durably(output / "prediction.json", json.dumps(record).encode())
        return prediction


def _limits_of_describing(source: ModelSource) -> tuple[int, float]:
    """Return MB and seconds for the report of a source; the network of a model.toml is loaded, and perhaps run."""
    if source.manifest is None or source.manifest.runtime == "python":
        return DESCRIBE_MEMORY_MB, DESCRIBE_SECONDS
    resources = source.manifest.resources
    return max(DESCRIBE_MEMORY_MB, resources.memory_mb), max(DESCRIBE_SECONDS, resources.timeout_seconds)


def _reserve(path: Path, size: int) -> None:
    """Create a file of this size with all its blocks: writing to a mapped hole on a full disk kills the process."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.posix_fallocate(file, 0, size)
    except OSError as fault:
        raise StorageFull(f"no space for a volume of {size >> 20} MiB in {path.parent}: {fault.strerror}") from None
    finally:
        os.close(file)


class _RequestFiles:
    """The five open files of a request: voxels and volume to read; masks, maps and result to write."""

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


def _prediction(folder: Path, record: Mapping[str, Any]) -> Prediction:
    slices, rows, columns = record["shape"]
    output = folder / "output"
    result = read_result(output / "result.json", output / "masks.raw", output / "maps.raw", (slices, rows, columns))
    return Prediction(
        result, str(record["device"]), float(record["seconds"]), {**result.notes, **record.get("notes", {})}
    )
