"""Where a model is tried: series are read, run and written as in the service, without its ledger and queues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.app.models.contract.given import Given, declared, seen
from orchestrator.dicom import Grid, WriteOptions, check_intended, fill, gather, plan, read_instance, write_objects
from orchestrator.domain.job import Priority, job_key
from orchestrator.domain.model import ModelDescription
from orchestrator.domain.records import JobRecord, ObjectRecord
from orchestrator.domain.result import Result
from orchestrator.domain.series import Series
from orchestrator.domain.volume import Volume
from orchestrator.worker import Workers


@dataclass(frozen=True, slots=True)
class Part:
    """One grid of a series and what the model said about it."""

    grid: Grid
    volume: Volume
    result: Result


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said about a series. ``seconds``: spent in its ``predict``, on ``device``."""

    series: Series
    parts: tuple[Part, ...]
    seconds: float
    device: str


class Bench:
    """One model in its caged process."""

    def __init__(self, workers: Workers, model: str) -> None:
        """Raises UnknownRecord, with the reason where a model of that name was refused."""
        catalogued = workers.catalogue_entry(model)
        self.model: ModelDescription = catalogued.description
        self._workers = workers
        self._gives = list(declared(catalogued.manifest)) if catalogued.manifest else []
        self._devices: list[str] = []

    def load(self) -> None:
        """Start the model's process and load the model.

        Raises WeightsError, EnvironmentMissing or an InferenceError.
        """
        self._workers.warm(self.model.name)

    def rest(self) -> None:
        """End the model's process; the next series starts another."""
        self._workers.rest(self.model.name)

    @property
    def gives(self) -> tuple[Given, ...]:
        """What the model declares to give and has given so far, each once."""
        return tuple(dict.fromkeys(self._gives))

    @property
    def devices(self) -> tuple[str, ...]:
        """What the model has run on so far, GPUs with their product."""
        products = {device.name: device.product for device in self._workers.devices}
        used = dict.fromkeys(self._devices)
        return tuple(f"{name} ({products[name]})" if products.get(name) else name for name in used)

    @property
    def peak_memory_mb(self) -> float | None:
        """The most memory that the process held at once."""
        return self._workers.peak_memory_mb(self.model.name)

    @property
    def printed(self) -> str:
        """What the process printed lately."""
        return self._workers.output(self.model.name)

    def show(self, paths: Sequence[Path], folder: Path) -> Answer:
        """Return what the model says about these files; the voxels and masks lie below the folder.

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
            parts.append(Part(grid, volume, prediction.result))
            self._gives += seen(prediction.result)
            self._devices.append(prediction.device)
            seconds += prediction.seconds
            device = prediction.device
        return Answer(series, tuple(parts), seconds, device)

    def write(self, answer: Answer, folder: Path) -> tuple[ObjectRecord, ...]:
        """Return the SEG and SR of an answer, checked against the host's rules.

        Raises InvalidResult and ConformanceError.
        """
        folder.mkdir(parents=True, exist_ok=True)
        findings = [(part.grid, part.result) for part in answer.parts]
        return write_objects(findings, job=self._job(answer), model=self.model, folder=folder, options=WriteOptions())

    def _job(self, answer: Answer) -> JobRecord:
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
