"""Threads that wait until their model has its place on a device."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from orchestrator.domain.errors import WorkerCrashed
from orchestrator.worker.devices.devices import Device
from orchestrator.worker.devices.slots import DeviceSlots

_log = logging.getLogger(__name__)


class Admission:
    """Gives each model its place on a device, one thread at a time for each model."""

    def __init__(self, devices: Sequence[Device], end: Callable[[str], None]) -> None:
        """Start with nobody on any device.

        end: returns once the process of a model is gone; called while nobody else is given a place, so
        that memory is free before it is given away.
        """
        self._slots = DeviceSlots({device.name: device.memory_mb for device in devices})
        self._end = end
        self._changed = threading.Condition()
        self._granted: set[str] = set()
        self._closed = False

    def enter(self, model: str, device: str, memory_mb: int) -> None:
        """Return when the model may run on the device; it may have lost its process meanwhile.

        Raises WorkerCrashed where the host ends first.
        """
        with self._changed:
            if not self._closed:
                self._slots.ask(model, device, memory_mb)
                self._serve()
            self._changed.wait_for(lambda: self._closed or model in self._granted)
            self._granted.discard(model)
            if self._closed:
                self._slots.leave(model)
            self._check_open(model)

    def check_open(self, model: str) -> None:
        """Return while models may run.

        Raises WorkerCrashed once the host ends.
        """
        with self._changed:
            self._check_open(model)

    def _check_open(self, model: str) -> None:
        if self._closed:
            raise WorkerCrashed(f"the host ended before {model} could run")

    def leave(self, model: str, *, warm: bool) -> None:
        """Note that the model does not run any more, and whether its process stays."""
        with self._changed:
            if warm:
                self._slots.rest(model)
            else:
                self._slots.leave(model)
            self._serve()

    def observe(self, model: str, memory_mb: int) -> None:
        """Count what the model's process was seen to hold."""
        with self._changed:
            self._slots.observe(model, memory_mb)

    def device_of(self, model: str) -> str | None:
        """Return where the model is warm or running, None where it is not."""
        with self._changed:
            return self._slots.device_of(model)

    def free_mb(self, device: str) -> int:
        """Return the memory of the device that nobody holds."""
        with self._changed:
            return self._slots.free_mb(device)

    def close(self) -> None:
        """Send away all who wait, and all who come."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _serve(self) -> None:
        while not self._closed and (grant := self._slots.grant()) is not None:
            for gone in grant.evicted:
                _log.info("%s gives its place on %s to %s", gone, grant.device, grant.model)
                self._end(gone)
            self._granted.add(grant.model)
        self._changed.notify_all()
