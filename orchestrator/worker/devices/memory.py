"""Allocates the memory of devices to models: who holds it, who waits, and which idle model is evicted.

Pure logic without clock, threads and processes; ``queue`` uses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Grant:
    """A model may run now; the processes of the evicted models must be ended first."""

    model: str
    device: str
    evictions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MemoryRequest:
    """What a waiting model needs."""

    device: str
    memory_mb: int


@dataclass(slots=True)
class Allocation:
    """The memory of a model's process, which stays warm between runs until another model needs the memory."""

    device: str
    memory_mb: int
    running: bool


class DeviceMemory:
    """The memory of all devices, allocated in the order of requests and never beyond what a device has.

    Idle models are evicted, the least recently used first; running models never are.
    On each device the longest waiting model comes first, even where a later one would fit:
    otherwise small models could keep a large one waiting for ever.
    """

    def __init__(self, memory_mb: Mapping[str, int]) -> None:
        self._memory_mb = dict(memory_mb)
        self._allocations: dict[str, Allocation] = {}  # least recently used first
        self._requests: dict[str, MemoryRequest] = {}  # longest waiting first

    def free_mb(self, device: str) -> int:
        """Return the free memory of the device."""
        total = sum(allocation.memory_mb for allocation in self._allocations.values() if allocation.device == device)
        return self._memory_mb[device] - total

    def device_of(self, model: str) -> str | None:
        """Return the device on which the model is warm or running, None where it is neither."""
        allocation = self._allocations.get(model)
        return None if allocation is None else allocation.device

    def request(self, model: str, device: str, memory_mb: int) -> None:
        """Let the model wait for memory of a device.

        Raises ValueError for more memory than the device has, and for a model that waits, runs or is warm elsewhere.
        """
        if memory_mb > self._memory_mb[device]:
            raise ValueError(f"{model} requests {memory_mb} MB of {device}, which has {self._memory_mb[device]} MB")
        allocation = self._allocations.get(model)
        if model in self._requests or (allocation and (allocation.running or allocation.device != device)):
            raise ValueError(f"{model} holds memory or waits for it already")
        self._requests[model] = MemoryRequest(device, memory_mb)

    def grant(self) -> Grant | None:
        """Allocate memory to the longest waiting model that can run now, and return it with the models to evict."""
        full: set[str] = set()
        for model, request in self._requests.items():
            evictions = None if request.device in full else self._make_room(model, request)
            if evictions is not None:
                del self._requests[model]
                for name in (*evictions, model):
                    self._allocations.pop(name, None)
                self._allocations[model] = Allocation(request.device, request.memory_mb, running=True)
                return Grant(model, request.device, evictions)
            full.add(request.device)
        return None

    def rest(self, model: str) -> None:
        """Record that the model has run and stays warm, as the most recently used one."""
        allocation = self._allocations.pop(model)
        allocation.running = False
        self._allocations[model] = allocation

    def leave(self, model: str) -> None:
        """Record that the model's process has ended, or that the model has stopped waiting."""
        self._allocations.pop(model, None)
        self._requests.pop(model, None)

    def observe(self, model: str, memory_mb: int) -> None:
        """Record how much memory a process holds, up to what is free; its next request covers the rest."""
        allocation = self._allocations.get(model)
        if allocation is not None and memory_mb > allocation.memory_mb:
            allocation.memory_mb = min(memory_mb, allocation.memory_mb + self.free_mb(allocation.device))

    def _make_room(self, model: str, request: MemoryRequest) -> tuple[str, ...] | None:
        """Return the idle models to evict, least recently used first; None where that frees too little."""
        own = self._allocations.get(model)
        short_mb = request.memory_mb - self.free_mb(request.device) - (own.memory_mb if own else 0)
        evictions = []
        for other, allocation in self._allocations.items():
            if short_mb <= 0:
                break
            if other != model and allocation.device == request.device and not allocation.running:
                evictions.append(other)
                short_mb -= allocation.memory_mb
        return tuple(evictions) if short_mb <= 0 else None
