"""A queue of threads whose models wait for memory of a device."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from orchestrator.domain.errors import WorkerCrashed
from orchestrator.worker.devices.devices import Device
from orchestrator.worker.devices.memory import DeviceMemory

_log = logging.getLogger(__name__)


class DeviceQueue:
    """Lets models run on devices as memory allows; of one model only one thread at a time."""

    def __init__(self, devices: Sequence[Device], end_process: Callable[[str], None]) -> None:
        """Start with all devices free.

        end_process: ends the process of a model and returns once it is gone. No other model gets memory meanwhile,
        so that memory is free before it is given away.
        """
        self._memory = DeviceMemory({device.name: device.memory_mb for device in devices})
        self._end_process = end_process
        self._change = threading.Condition()
        self._admissions: set[str] = set()
        self._closed = False

    def enter(self, model: str, device: str, memory_mb: int) -> None:
        """Wait until the model may run on the device; its process may have been ended meanwhile.

        Raises WorkerCrashed if the host ends first.
        """
        with self._change:
            if not self._closed:
                self._memory.request(model, device, memory_mb)
                self._admit()
            self._change.wait_for(lambda: self._closed or model in self._admissions)
            self._admissions.discard(model)
            if self._closed:
                self._memory.leave(model)
            self._check_open(model)

    def check_open(self, model: str) -> None:
        """Return while models may run.

        Raises WorkerCrashed once the host ends.
        """
        with self._change:
            self._check_open(model)

    def _check_open(self, model: str) -> None:
        if self._closed:
            raise WorkerCrashed(f"the host ended before {model} could run")

    def leave(self, model: str, *, warm: bool) -> None:
        """Record that the model has stopped running; warm: its process stays."""
        with self._change:
            if warm:
                self._memory.rest(model)
            else:
                self._memory.leave(model)
            self._admit()

    def observe(self, model: str, memory_mb: int) -> None:
        """Record how much memory the model's process was seen to hold."""
        with self._change:
            self._memory.observe(model, memory_mb)

    def device_of(self, model: str) -> str | None:
        """Return the device on which the model is warm or running, None where it is neither."""
        with self._change:
            return self._memory.device_of(model)

    def free_mb(self, device: str) -> int:
        """Return the free memory of the device."""
        with self._change:
            return self._memory.free_mb(device)

    def close(self) -> None:
        """Refuse all threads that wait, and all later ones."""
        with self._change:
            self._closed = True
            self._change.notify_all()

    def _admit(self) -> None:
        while not self._closed and (grant := self._memory.grant()) is not None:
            for model in grant.evictions:
                _log.info("model %s unloaded from %s to make room for %s", model, grant.device, grant.model)
                self._end_process(model)
            self._admissions.add(grant.model)
        self._change.notify_all()
