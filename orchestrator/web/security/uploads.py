"""How many clients push images by STOW-RS at the same time; one that stalls gives its place to another."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

UPLOADS: Final = 8
SILENCE_SECONDS: Final = 60.0
"""An upload without a byte for this long has ended, whether others wait or not."""
STALL_SECONDS: Final = 5.0
"""While others wait for a place: an upload that sends less than a step in this time gives up its place."""
STEP_BYTES: Final = 64 << 10
WAIT_SECONDS: Final = 30.0


class Stalled(Exception):
    """The client sent nothing, or too little while others waited."""


class Busy(Exception):
    """All places are taken by uploads that make progress."""


@dataclass(slots=True)
class Upload:
    """One upload. client: its address. waited: seconds that this host waited for the client since its last step."""

    client: str
    waited: float = 0.0
    received: int = 0
    waiting_since: float | None = None
    timeout: asyncio.Timeout | None = None

    async def next_piece(self, pieces: AsyncIterator[bytes]) -> bytes | None:
        """Return the next piece of the body, None at its end.

        Raises Stalled.
        """
        loop = asyncio.get_running_loop()
        self.waiting_since = loop.time()
        try:
            async with asyncio.timeout(SILENCE_SECONDS) as self.timeout:
                piece = await anext(pieces, None)
        except TimeoutError:
            raise Stalled from None
        finally:
            self.waited, self.waiting_since = self.stalled(loop.time()), None
        self.received += len(piece or b"")
        if self.received >= STEP_BYTES:
            self.received, self.waited = 0, 0.0
        return piece

    def stalled(self, now: float) -> float:
        """Return for how many seconds this host has waited for the client since its last step."""
        return self.waited + (0.0 if self.waiting_since is None else now - self.waiting_since)


class Uploads:
    """The places for uploads, used in one event loop. limit: how many there are."""

    def __init__(self, limit: int = UPLOADS) -> None:
        self.limit = limit
        self._running: list[Upload] = []
        self._freed = asyncio.Event()

    @asynccontextmanager
    async def place(self, client: str) -> AsyncIterator[Upload]:
        """Give a place for one upload of this client.

        Raises Busy where none becomes free in time.
        """
        await self._wait_for_place()
        upload = Upload(client)
        self._running.append(upload)
        try:
            yield upload
        finally:
            self._running.remove(upload)
            self._freed.set()

    async def _wait_for_place(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + WAIT_SECONDS
        while len(self._running) >= self.limit:
            if loop.time() >= deadline:
                raise Busy
            self._end_stalled(loop.time())
            self._freed.clear()
            try:
                async with asyncio.timeout(STALL_SECONDS / 5):
                    await self._freed.wait()
            except TimeoutError:
                pass

    def _end_stalled(self, now: float) -> None:
        """End the upload that stalls longest, of the client with most uploads."""
        stalled = [each for each in self._running if each.waiting_since and each.stalled(now) >= STALL_SECONDS]
        if stalled:
            of_client = Counter(each.client for each in self._running)
            worst = max(stalled, key=lambda each: (of_client[each.client], each.stalled(now)))
            if worst.timeout is not None:
                worst.timeout.reschedule(now)
