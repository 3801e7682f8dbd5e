"""A thread for each destination, which sends the deliveries that are due.

A slow destination holds up no other. Of the processes at one database, one has a destination to itself: it holds
the lock on it. Who gets the lock finds what a dead process left under way, and repeats it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection

from orchestrator.domain.clock import Clock, utc_now
from orchestrator.engine import ProcessLock, describe, frames
from orchestrator.ledger import Ledger
from orchestrator.pipeline.delivery.attempt import Delivery

log = logging.getLogger(__name__)

LOCK_SECONDS = 5.0
"""Pause before another try to get a lock that another process holds, or to record a lost outcome."""


class Dispatcher:
    """Wakes the thread of each destination that has a due delivery; ``poll`` is called again and again.

    lock_of: returns the lock on a destination, which ends with its process.
    """

    def __init__(
        self,
        ledger: Ledger,
        delivery: Delivery,
        destinations: Collection[str],
        lock_of: Callable[[str], ProcessLock],
        *,
        clock: Clock = utc_now,
    ) -> None:
        self._ledger = ledger
        self._delivery = delivery
        self._lock_of = lock_of
        self._clock = clock
        self._threads = {name: DestinationThread(name, delivery, lock_of(name)) for name in destinations}

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads.values():
            thread.start()

    def close(self, *, drain_seconds: float = 10.0) -> None:
        """Begin no further attempt and wait for those under way; one that takes longer counts as no crash."""
        for thread in self._threads.values():
            thread.stop()
        deadline = time.monotonic() + drain_seconds
        for name, thread in self._threads.items():
            if not thread.has_ended(max(0.0, deadline - time.monotonic())):
                self._ledger.deliveries.forgive(name)

    def poll(self) -> None:
        """Wake the threads that have a due delivery; park deliveries to destinations that left the settings."""
        for name in self._ledger.deliveries.due_destinations(self._clock()):
            if name in self._threads:
                self._threads[name].wake()
            else:
                self._delivery.park_unknown(name)

    def recover_unknown(self) -> None:
        """Park what a dead process left under way to destinations that left the settings."""
        for name in self._ledger.deliveries.sending_destinations() - self._threads.keys():
            lock = self._lock_of(name)
            if lock.acquire():
                try:
                    self._delivery.recover(name, after_crash=True)
                finally:
                    lock.release()


class DestinationThread:
    """Sends the due deliveries of one destination, one after the other, while it holds the lock on it."""

    def __init__(self, name: str, delivery: Delivery, lock: ProcessLock) -> None:
        self._name = name
        self._delivery = delivery
        self._lock = lock
        self._is_due = threading.Event()
        self._is_stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"deliveries to {name}", daemon=True)
        self._has_lock = False
        self._has_recovered = False
        self._after_crash = True
        self._try_again_at = 0.0

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Look for due deliveries now."""
        self._is_due.set()

    def stop(self) -> None:
        """Begin no further attempt."""
        self._is_stopped.set()
        self._is_due.set()

    def has_ended(self, patience_seconds: float) -> bool:
        """Return whether the thread ended within the time."""
        self._thread.join(patience_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._is_stopped.is_set():
                self._send_due()
                self._is_due.wait(None if self._has_recovered else LOCK_SECONDS)
                self._is_due.clear()
        finally:
            self._lock.release()

    def _send_due(self) -> None:
        if not self._has_recovered and time.monotonic() < self._try_again_at:
            return
        try:
            if self._is_mine():
                self._recover()
                while not self._is_stopped.is_set() and self._delivery.send_next(self._name):
                    pass
        except Exception as error:  # noqa: BLE001  # a fault of the database must not end the thread
            log.error(
                "deliveries to %s: %s; trying again in %g s\n%s",
                self._name,
                describe(error),
                LOCK_SECONDS,
                frames(error),
            )
            self._has_recovered = False
            self._try_again_at = time.monotonic() + LOCK_SECONDS

    def _is_mine(self) -> bool:
        """Return whether this process has the destination to itself; a lost lock is acquired again."""
        had_lock, self._has_lock = self._has_lock, False
        self._has_lock = self._lock.keep() if had_lock else self._lock.acquire()
        if not self._has_lock:
            self._has_recovered, self._after_crash = False, True
            self._try_again_at = time.monotonic() + LOCK_SECONDS
        return self._has_lock

    def _recover(self) -> None:
        """Repeat the attempts that began and did not end; this thread is not in one now."""
        if not self._has_recovered:
            self._delivery.recover(self._name, after_crash=self._after_crash)
            self._has_recovered, self._after_crash = True, False
