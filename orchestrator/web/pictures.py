"""Caches pictures of results while somebody looks at them; the drawing is done in dicom.view."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from orchestrator.domain.errors import OrchestratorError

if TYPE_CHECKING:  # drawing needs highdicom, which takes seconds to load
    from orchestrator.dicom import Overlay

THUMBNAIL_PIXELS = 192
"""Twice the size on the page, for dense screens."""


class Pictures(Protocol):
    """Source of the overlay and the parameters of a result."""

    def open(self, job_key: str) -> Overlay:
        """Return the overlay; raises OrchestratorError or OSError where a file is gone or broken."""

    def parameters(self, job_key: str) -> Mapping[str, str]:
        """Return how the result was computed, as its report says it; raises as ``open`` does."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a slice is to be drawn: opacity 0..1, window (centre, width), size in pixels."""

    opacity: float = 0.45
    outline: bool = True
    window: tuple[float, float] | None = None
    size: int | None = None


class NoPicture(OrchestratorError):
    """A result cannot be shown; its source images or objects are gone or broken."""


_T = TypeVar("_T")


@dataclass(slots=True)
class _CacheEntry(Generic[_T]):
    """One cached value; the lock lets one thread at a time create or use it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    value: _T | None = None


class _Cache(Generic[_T]):
    """The most recently used values, ``room`` at most."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._places: OrderedDict[Hashable, _CacheEntry[_T]] = OrderedDict()
        self._lock = threading.Lock()

    def entry(self, key: Hashable) -> _CacheEntry[_T]:
        """Return the entry of this key and drop the least recently used one."""
        with self._lock:
            entry = self._places.setdefault(key, _CacheEntry())
            self._places.move_to_end(key)
            while len(self._places) > self._room:
                self._places.popitem(last=False)
            return entry


class Gallery:
    """Keeps the overlays in use open, and thumbnails as PNG.

    ``version`` in every call names the objects that the picture shows, so that rewritten objects are drawn again.
    """

    def __init__(self, pictures: Pictures, *, overlays: int = 3, thumbnails: int = 512) -> None:
        self._pictures = pictures
        self._overlays: _Cache[Overlay] = _Cache(overlays)
        self._thumbnails = _Cache[bytes](thumbnails)
        # opening costs seconds of one core for a large series: a full worklist must not open all at once
        self._drawing = threading.Semaphore(2)

    def see(self, job_key: str, version: str, look: Callable[[Overlay], _T]) -> _T:
        """Return what ``look`` gets from the open overlay; one thread at a time per overlay.

        Raises NoPicture.
        """
        entry = self._overlays.entry((job_key, version))
        with entry.lock:
            if entry.value is None:
                entry.value = self._open(job_key)
            return _draw(job_key, look, entry.value)

    def thumbnail(self, job_key: str, version: str) -> bytes:
        """Return a small PNG of the best slice.

        Raises NoPicture.
        """
        entry = self._thumbnails.entry((job_key, version))
        with entry.lock:
            if entry.value is None:
                with self._drawing:
                    entry.value = _draw(job_key, _small, self._open(job_key))
            return entry.value

    def parameters(self, job_key: str) -> Mapping[str, str]:
        """Return how the result was computed, as its report says it; nothing where that cannot be read."""
        try:
            return self._pictures.parameters(job_key)
        except (OrchestratorError, OSError):
            return {}

    def _open(self, job_key: str) -> Overlay:
        try:
            return self._pictures.open(job_key)
        except (OrchestratorError, OSError) as fault:
            raise NoPicture(f"result {job_key[:12]} cannot be shown: {type(fault).__name__}") from fault


def _draw(job_key: str, look: Callable[[Overlay], _T], overlay: Overlay) -> _T:
    try:
        return look(overlay)
    except (OrchestratorError, OSError) as fault:  # files are read on demand and may have gone meanwhile
        raise NoPicture(f"result {job_key[:12]} cannot be drawn: {type(fault).__name__}") from fault


def _small(overlay: Overlay) -> bytes:
    return overlay.png(overlay.best_slice, size=THUMBNAIL_PIXELS)
