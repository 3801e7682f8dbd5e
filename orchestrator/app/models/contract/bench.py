"""Runs a model on series as the service does, but without ledger and queues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.app.models.contract.outputs import ModelOutput, declared_outputs, result_outputs
from orchestrator.dicom import Grid, WriteOptions, check_intended, fill, gather, plan, read_instance, write_objects
from orchestrator.domain.job import Priority, job_key
from orchestrator.domain.model import ModelDescription
from orchestrator.domain.records import JobRecord, ObjectRecord
from orchestrator.domain.result import Result
from orchestrator.domain.series import Series
from orchestrator.domain.volume import Volume
from orchestrator.worker import Workers


@dataclass(frozen=True, slots=True)
class GridAnswer:
    """One grid of a series and the model's result for it."""

    grid: Grid
    volume: Volume
    result: Result


@dataclass(frozen=True, slots=True)
class SeriesAnswer:
    """The model's answer to a series. ``seconds``: spent in its ``predict``, on ``device``."""

    series: Series
    parts: tuple[GridAnswer, ...]
    seconds: float
    device: str


class Bench:
    """One model in its caged process."""

    def __init__(self, workers: Workers, model: str) -> None:
        """Raise UnknownRecord for an unknown model; the message says why if it was refused."""
        entry = workers.catalogue_entry(model)
        self.model: ModelDescription = entry.description
        self._workers = workers
        self._outputs = list(declared_outputs(entry.manifest)) if entry.manifest else []
        self._devices: list[str] = []

    def load(self) -> None:
        """Start the model's process and load the model.

        Raises WeightsError, EnvironmentMissing or an InferenceError.
        """
        self._workers.warm(self.model.name)

    def rest(self) -> None:
        """End the model's process; the next series starts a new one."""
        self._workers.rest(self.model.name)

    @property
    def outputs(self) -> tuple[ModelOutput, ...]:
        """The outputs that the model declares or has returned so far, each once."""
        return tuple(dict.fromkeys(self._outputs))

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices that the model has run on so far, GPUs with their product name."""
        products = {device.name: device.product for device in self._workers.devices}
        names = dict.fromkeys(self._devices)
        return tuple(f"{name} ({products[name]})" if products.get(name) else name for name in names)

    @property
    def peak_memory_mb(self) -> float | None:
        """Peak memory of the process."""
        return self._workers.peak_memory_mb(self.model.name)

    @property
    def output_text(self) -> str:
        """What the process printed last."""
        return self._workers.output(self.model.name)

    def show(self, paths: Sequence[Path], folder: Path) -> SeriesAnswer:
        """Run the model on these files; voxels and masks are written below the folder.

        Raises NotApplicable, UnsupportedInput, UnreadableFile, InvalidResult or an InferenceError, as a job would.
        """
        series = gather([read_instance(path) for path in paths])
        check_intended(series, self.model.intended)
        self._workers.check_device(self.model.name)
        parts, seconds, device = [], 0.0, ""
        for number, grid in enumerate(plan(series, self.model.accepts)):
            place = folder / f"part-{number}"
            volume = fill(grid, self._workers.allocate(place, grid.shape, grid.dtype))
            prediction = self._workers.predict(self.model.name, volume, place)
            parts.append(GridAnswer(grid, volume, prediction.result))
            self._outputs += result_outputs(prediction.result)
            self._devices.append(prediction.device)
            seconds += prediction.seconds
            device = prediction.device
        return SeriesAnswer(series, tuple(parts), seconds, device)

    def write(self, answer: SeriesAnswer, folder: Path) -> tuple[ObjectRecord, ...]:
        """Write SEG and SR of an answer, checked against the conformance rules.

        Raises InvalidResult and ConformanceError.
        """
        folder.mkdir(parents=True, exist_ok=True)
        findings = [(part.grid, part.result) for part in answer.parts]
        return write_objects(findings, job=self._job(answer), model=self.model, folder=folder, options=WriteOptions())

    def _job(self, answer: SeriesAnswer) -> JobRecord:
        now, series = datetime.now(UTC), answer.series
        return JobRecord(
            key=job_key(series.instances, self.model),
            series_uid=series.series_uid,
            revision=series.revision,
            study_uid=series.study_uid,
            model=self.model.name,
            model_version=self.model.version,
            model_digest=self.model.digest,
            rule="models check",
            priority=Priority.ROUTINE,
            device=answer.device,
            created_at=now,
            updated_at=now,
        )
