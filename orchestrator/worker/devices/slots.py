"""Which model holds how much memory of which device, who waits for it, and who has to go for whom.

Pure: no clock, no thread, no process; ``admission`` puts it to work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Grant:
    """A model may run now; the processes of ``evicted`` have to be ended before."""

    model: str
    device: str
    evicted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wish:
    """What a model that waits needs."""

    device: str
    memory_mb: int


@dataclass(slots=True)
class Holding:
    """What the process of a model has; it stays warm between runs until its memory is needed."""

    device: str
    memory_mb: int
    running: bool


class DeviceSlots:
    """The memory of all devices, given out in the order of asking.

    Never more than a device has. Warm models go first in, first out of use; a running one never goes.
    On each device the longest waiting model is served first, also where a later one would fit already:
    otherwise small models could keep a large one out for ever.
    """

    def __init__(self, memory_mb: Mapping[str, int]) -> None:
        self._memory_mb = dict(memory_mb)
        self._holdings: dict[str, Holding] = {}  # least recently used first
        self._wishes: dict[str, Wish] = {}  # longest waiting first

    def free_mb(self, device: str) -> int:
        """Return the memory of the device that nobody holds."""
        held = sum(holding.memory_mb for holding in self._holdings.values() if holding.device == device)
        return self._memory_mb[device] - held

    def device_of(self, model: str) -> str | None:
        """Return where the model is warm or running, None where it is not."""
        holding = self._holdings.get(model)
        return None if holding is None else holding.device

    def ask(self, model: str, device: str, memory_mb: int) -> None:
        """Let the model wait for its turn on a device.

        Raises ValueError for more than the device has, and for a model that waits, runs or is warm elsewhere.
        """
        if memory_mb > self._memory_mb[device]:
            raise ValueError(f"{model} asks for {memory_mb} MB of {device}, which has {self._memory_mb[device]} MB")
        holding = self._holdings.get(model)
        if model in self._wishes or (holding and (holding.running or holding.device != device)):
            raise ValueError(f"{model} has a place or waits for one already")
        self._wishes[model] = Wish(device, memory_mb)

    def grant(self) -> Grant | None:
        """Give the longest waiting model that can run now its place, and return who has to go for it."""
        full: set[str] = set()
        for model, wish in self._wishes.items():
            evicted = None if wish.device in full else self._room_for(model, wish)
            if evicted is not None:
                del self._wishes[model]
                for gone in (*evicted, model):
                    self._holdings.pop(gone, None)
                self._holdings[model] = Holding(wish.device, wish.memory_mb, running=True)
                return Grant(model, wish.device, evicted)
            full.add(wish.device)
        return None

    def rest(self, model: str) -> None:
        """Note that the model has run and stays warm, the most recently used of all."""
        holding = self._holdings.pop(model)
        holding.running = False
        self._holdings[model] = holding

    def leave(self, model: str) -> None:
        """Note that the model's process is gone, or that it waits no longer."""
        self._holdings.pop(model, None)
        self._wishes.pop(model, None)

    def observe(self, model: str, memory_mb: int) -> None:
        """Count what a process was seen to hold, as far as there is room; its next turn asks for the rest."""
        holding = self._holdings.get(model)
        if holding is not None and memory_mb > holding.memory_mb:
            holding.memory_mb = min(memory_mb, holding.memory_mb + self.free_mb(holding.device))

    def _room_for(self, model: str, wish: Wish) -> tuple[str, ...] | None:
        """Return the idle models that have to go, least recently used first; None where that is not enough."""
        own = self._holdings.get(model)
        short_mb = wish.memory_mb - self.free_mb(wish.device) - (own.memory_mb if own else 0)
        evicted = []
        for other, holding in self._holdings.items():
            if short_mb <= 0:
                break
            if other != model and holding.device == wish.device and not holding.running:
                evicted.append(other)
                short_mb -= holding.memory_mb
        return tuple(evicted) if short_mb <= 0 else None
