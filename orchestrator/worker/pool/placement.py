"""Places a model on a device once there is room, and on the CPU if the GPU is not usable."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from orchestrator.domain.errors import DeviceOutOfMemory, DeviceUnavailable
from orchestrator.worker.devices.devices import Device, candidates, gpu_memory_by_process
from orchestrator.worker.devices.queue import DeviceQueue
from orchestrator.worker.pool.warm import WarmModel

T = TypeVar("T")


class Placement:
    """Runs a task with a model on one of the devices; the caller holds the model's lock."""

    def __init__(
        self,
        devices: Sequence[Device],
        models: Mapping[str, WarmModel],
        load: Callable[[WarmModel, Device], None],
        log: logging.Logger,
    ) -> None:
        """Start with all devices free.

        load: loads the model in a new process on the device; raises DeviceUnavailable if the runtime of the model
        cannot use that device.
        """
        self._devices = tuple(devices)
        self._models = models
        self._load = load
        self._log = log
        self._queue = DeviceQueue(devices, lambda name: models[name].end())

    def run(self, model: WarmModel, task: Callable[[], T]) -> tuple[T, dict[str, str]]:
        """Return the result of the task, and notes for the SR: the provider and, on the CPU, why not a GPU.

        Raises DeviceUnavailable and errors of ``load`` and ``task``.
        """
        choices = candidates(model.model.description, self._devices)
        device, note = self._choose(model, choices)
        try:
            result = self._run_on(device, model, task)
        except (DeviceOutOfMemory, DeviceUnavailable) as fault:
            if choices[-1].is_gpu:
                raise
            self._log.warning("model %s failed on %s (%s); running on cpu", model.name, device.name, fault)
            note = model.no_gpu or f"ran on cpu after {device.name} was out of memory"
            result = self._run_on(choices[-1], model, task)
        return result, {key: text for key, text in (("provider", model.provider), ("fallback", note)) if text}

    def leave(self, model: WarmModel) -> None:
        """End the model's process and free its memory."""
        model.end()
        self._queue.leave(model.name, warm=False)

    def close(self) -> None:
        """Refuse all threads that wait for a device, and all later ones."""
        self._queue.close()

    def _choose(self, model: WarmModel, choices: Sequence[Device]) -> tuple[Device, str]:
        """Return the device to try first, and why it is not a GPU if the model could use one.

        Of several GPUs this is the one where the model is warm, else the one with the most free memory.
        """
        gpus = [device for device in choices if device.is_gpu]
        if model.no_gpu or not gpus:
            return choices[-1], model.no_gpu
        warm = self._queue.device_of(model.name)
        here = [device for device in gpus if device.name == warm]
        return (here or [max(gpus, key=lambda device: self._queue.free_mb(device.name))])[0], ""

    def _run_on(self, device: Device, model: WarmModel, task: Callable[[], T]) -> T:
        """Return the result of the task on this device. The model may lose its process while it waits for memory."""
        if model.device != device or not model.loaded:
            self.leave(model)
            self._observe(device)
        need_mb = max(model.resources.memory_mb, model.peaks_mb.get(device.name, 0))
        self._queue.enter(model.name, device.name, min(need_mb, device.memory_mb))
        try:
            if not model.alive:
                model.end()
                self._load(model, device)
                self._queue.check_open(model.name)  # the host may have ended while the model loaded
            return task()
        finally:
            self._queue.leave(model.name, warm=model.alive)

    def _observe(self, device: Device) -> None:
        """Record the memory of the warm models of a device before another model starts there.

        onnxruntime and torch keep the memory that they allocated, so this is the memory that their runs need.
        """
        warm = [model for model in self._models.values() if model.device == device and model.loaded]
        on_gpu = gpu_memory_by_process() if device.is_gpu and warm else {}
        for model in warm:
            assert model.process is not None
            held_mb = on_gpu.get(model.process.pid, 0) if device.is_gpu else int(model.process.peak_memory_mb or 0)
            model.peaks_mb[device.name] = max(held_mb, model.peaks_mb.get(device.name, 0))
            self._queue.observe(model.name, model.peaks_mb[device.name])
