"""Where a model runs: the device of its choice, once there is room; the CPU where that was not to be had."""

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
    """Runs what is to be done with a model on one of the devices; the caller holds the model's lock."""

    def __init__(
        self,
        devices: Sequence[Device],
        models: Mapping[str, WarmModel],
        load: Callable[[WarmModel, Device], None],
        log: logging.Logger,
    ) -> None:
        """Start with all devices empty.

        load: returns once the model is loaded in a new process on the device; raises DeviceUnavailable
        where its runtime cannot use it.
        """
        self._devices = tuple(devices)
        self._models = models
        self._load = load
        self._log = log
        self._queue = DeviceQueue(devices, lambda name: models[name].end())

    def run(self, model: WarmModel, do: Callable[[], T]) -> tuple[T, dict[str, str]]:
        """Return what came of it, and notes for the SR: the provider and, on the CPU, why no GPU.

        Raises DeviceUnavailable, whatever ``load`` and ``do`` raise.
        """
        able = candidates(model.model.description, self._devices)
        device, note = self._choice(model, able)
        try:
            done = self._on(device, model, do)
        except (DeviceOutOfMemory, DeviceUnavailable) as fault:
            if able[-1].is_gpu:
                raise
            self._log.warning("%s goes on on the CPU: %s", model.name, fault)
            note = model.no_gpu or f"ran on cpu after {device.name} was out of memory"
            done = self._on(able[-1], model, do)
        return done, {key: text for key, text in (("provider", model.provider), ("fallback", note)) if text}

    def leave(self, model: WarmModel) -> None:
        """End the model's process and give its memory back."""
        model.end()
        self._queue.leave(model.name, warm=False)

    def close(self) -> None:
        """Send away all who wait for a device, and all who come."""
        self._queue.close()

    def _choice(self, model: WarmModel, able: Sequence[Device]) -> tuple[Device, str]:
        """Return the device to try first, and why it is no GPU where the model might expect one.

        Of several GPUs the one where the model is warm, else the one with the most free memory.
        """
        gpus = [device for device in able if device.is_gpu]
        if model.no_gpu or not gpus:
            return able[-1], model.no_gpu
        warm = self._queue.device_of(model.name)
        here = [device for device in gpus if device.name == warm]
        return (here or [max(gpus, key=lambda device: self._queue.free_mb(device.name))])[0], ""

    def _on(self, device: Device, model: WarmModel, do: Callable[[], T]) -> T:
        """Return what came of it on this device; whether the model is still warm shows only once it has its place."""
        if model.device != device or not model.loaded:
            self.leave(model)
            self._observe(device)
        need_mb = max(model.resources.memory_mb, model.peaks_mb.get(device.name, 0))
        self._queue.enter(model.name, device.name, min(need_mb, device.memory_mb))
        try:
            if not model.alive:
                model.end()
                self._load(model, device)
                self._queue.check_open(model.name)  # who closes ends the processes that there were before
            return do()
        finally:
            self._queue.leave(model.name, warm=model.alive)

    def _observe(self, device: Device) -> None:
        """Count what the warm models of a device hold by now, before another one is started there.

        The arenas of onnxruntime and torch keep what they took, so that this is what their runs needed.
        """
        warm = [model for model in self._models.values() if model.device == device and model.loaded]
        on_gpu = gpu_memory_by_process() if device.is_gpu and warm else {}
        for model in warm:
            assert model.process is not None
            held_mb = on_gpu.get(model.process.pid, 0) if device.is_gpu else int(model.process.peak_memory_mb or 0)
            model.peaks_mb[device.name] = max(held_mb, model.peaks_mb.get(device.name, 0))
            self._queue.observe(model.name, model.peaks_mb[device.name])
