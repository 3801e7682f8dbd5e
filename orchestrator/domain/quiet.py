"""Silences pydicom's warnings: they quote header values, which are patient data."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_inside = 0
_outside: warnings.catch_warnings[None] | None = None


@contextmanager
def quiet() -> Iterator[None]:
    """Run with warnings ignored, in any number of threads at once.

    ``warnings.catch_warnings`` changes the whole process, and two threads that overlap would leave it
    changed for ever: here the first one in saves the filters and the last one out restores them.
    """
    global _inside, _outside
    with _lock:
        _inside += 1
        if _outside is None:
            _outside = warnings.catch_warnings()
            _outside.__enter__()
            warnings.simplefilter("ignore")
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside and _outside is not None:
                _outside.__exit__(None, None, None)
                _outside = None
