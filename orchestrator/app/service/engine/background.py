"""Work that takes seconds, done beside a loop that must not stand still for it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, ParamSpec

Given = ParamSpec("Given")


class Aside(Generic[Given]):
    """Calls a function in a thread of its own, one call after the other. Not for several threads at once."""

    def __init__(self, work: Callable[Given, None], name: str) -> None:
        self._work = work
        self._thread = ThreadPoolExecutor(1, name)
        self._begun: dict[Hashable, Future[None]] = {}

    def close(self) -> None:
        """Begin no further call."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def done(self, key: Hashable, *given: Given.args, **named: Given.kwargs) -> bool:
        """Return whether the call that the key stands for is done; it is begun where it was not.

        Raises what the call raised; asked again, it is then called again.
        """
        call = self._begun.get(key)
        if call is None:
            call = self._begun[key] = self._thread.submit(self._work, *given, **named)
        if not call.done():
            return False
        del self._begun[key]
        call.result()
        return True
