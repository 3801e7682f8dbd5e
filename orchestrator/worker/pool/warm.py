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
from orchestrator.worker.catalogue.catalogue import CataloguedModel
from orchestrator.worker.devices.devices import NO_GPU, Device
from orchestrator.worker.pool.remote import ServedNetwork
from orchestrator.worker.process.process import ModelProcess
from orchestrator.worker.protocol.result import Answer, first_fault


@dataclass(slots=True, eq=False)
class WarmModel:
    """The process of one model, loaded or dead; the lock is held while it is asked.

    device: where it was started; provider: of onnxruntime, as it said.
    served: its network on a server, None where it runs here.
    peaks_mb: the most that it was seen to hold, by device.
    no_gpu: why it is not tried on a GPU again.
    """

    model: CataloguedModel
    lock: threading.Lock = field(default_factory=threading.Lock)
    process: ModelProcess | None = None
    loaded: bool = False
    device: Device = NO_GPU
    provider: str = ""
    served: ServedNetwork | None = None
    peaks_mb: dict[str, int] = field(default_factory=dict)
    no_gpu: str = ""
    used: float = 0.0

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model.description.name

    @property
    def resources(self) -> Resources:
        """What the model declares that it needs."""
        return self.model.description.resources

    @property
    def alive(self) -> bool:
        """Whether the model is loaded in a living process; asked only by who holds its place."""
        return self.loaded and self.process is not None and self.process.alive()

    def end(self) -> None:
        """End the process; what it printed can still be read."""
        self.loaded = False
        if self.process is not None:
            self.process.kill()

    def ask(self, request: Mapping[str, Any], files: Sequence[int] = (), folder: Path | None = None) -> Answer:
        """Return the answer of the process; an error that it told becomes the exception of that name.

        folder: of the volume in question, for which a model server may be asked meanwhile.
        """
        assert self.process is not None
        supply = partial(self.served.supply, folder) if self.served and folder else None
        raw = self.process.ask(request, self.resources.timeout_seconds, files, supply)
        self.used = time.monotonic()
        try:
            answer = Answer.model_validate(raw)
        except ValidationError as invalid:
            self.end()
            raise WorkerCrashed(f"{self.name} broke the protocol: {first_fault(invalid)}") from None
        if answer.error == "memory":
            self.end()
        if answer.error is not None:
            raise self._error(answer)
        return answer

    def _error(self, answer: Answer) -> OrchestratorError:
        """Return the exception that an answer stands for."""
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
                return DeviceOutOfMemory(f"{self.name} needs more memory than there is for it on {self.device.name}")
            case "memory":
                return WorkerOutOfMemory(f"{self.name} needs more than the {self.resources.memory_mb} MB it declares")
            case _:
                return ModelRaised(f"{self.name} raised {answer.message}")
