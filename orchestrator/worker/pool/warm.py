"""One model with its process, which stays warm between requests."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from orchestrator.domain.errors import (
    DeviceOutOfMemory,
    InvalidResult,
    ModelRaised,
    NotApplicable,
    OrchestratorError,
    StorageFull,
    UnsupportedInput,
    WorkerCrashed,
    WorkerOutOfMemory,
)
from orchestrator.domain.model import Resources
from orchestrator.worker.catalogue.catalogue import CatalogueEntry
from orchestrator.worker.devices.devices import NO_GPU, Device
from orchestrator.worker.pool.remote import ServedNetwork
from orchestrator.worker.process.process import ModelProcess
from orchestrator.worker.protocol.result import ModelAnswer, first_fault


@dataclass(slots=True, eq=False)
class WarmModel:
    """The process of one model; the lock is held during a request.

    device: where the process was started; provider: the execution provider of onnxruntime.
    served: the model's network on a server, None for a model that runs here.
    peaks_mb: the most memory that the process held, by device.
    no_gpu: why the model is not tried on a GPU again, empty if it is.
    last_use: time of the last answer (time.monotonic).
    """

    model: CatalogueEntry
    lock: threading.Lock = field(default_factory=threading.Lock)
    process: ModelProcess | None = None
    loaded: bool = False
    device: Device = NO_GPU
    provider: str = ""
    served: ServedNetwork | None = None
    peaks_mb: dict[str, int] = field(default_factory=dict)
    no_gpu: str = ""
    last_use: float = 0.0

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model.description.name

    @property
    def resources(self) -> Resources:
        """The resources that the model declares."""
        return self.model.description.resources

    @property
    def alive(self) -> bool:
        """Whether the model is loaded in a running process; valid only while the caller holds its memory."""
        return self.loaded and self.process is not None and self.process.alive()

    def end(self) -> None:
        """End the process; its output stays readable."""
        self.loaded = False
        if self.process is not None:
            self.process.kill()

    def ask(self, request: Mapping[str, Any], files: Sequence[int] = (), folder: Path | None = None) -> ModelAnswer:
        """Send a request and return the answer; an error in the answer is raised as an exception.

        folder: the folder of the volume; the process may ask for a model server meanwhile.
        """
        assert self.process is not None
        supply = partial(self.served.supply, folder) if self.served and folder else None
        raw = self.process.ask(request, self.resources.timeout_seconds, files, supply)
        self.last_use = time.monotonic()
        try:
            answer = ModelAnswer.model_validate(raw)
        except ValidationError as invalid:
            self.end()
            raise WorkerCrashed(f"{self.name} sent an invalid answer: {first_fault(invalid)}") from None
        if answer.error == "memory":
            self.end()
        if answer.error is not None:
            raise self._error(answer)
        return answer

    def _error(self, answer: ModelAnswer) -> OrchestratorError:
        """Return the exception for the error in an answer."""
        match answer.error:
            case "not-applicable":
                return NotApplicable(answer.message or "no reason given")
            case "unsupported":
                return UnsupportedInput(answer.fault, answer.message or "no reason given")
            case "invalid":
                return InvalidResult(answer.message)
            case "storage":
                return StorageFull(answer.message)
            case "memory" if self.device.is_gpu:
                return DeviceOutOfMemory(f"{self.name} ran out of memory on {self.device.name}")
            case "memory":
                return WorkerOutOfMemory(f"{self.name} needs more than its memory_mb = {self.resources.memory_mb}")
            case _:
                return ModelRaised(f"{self.name} raised {answer.message}")
