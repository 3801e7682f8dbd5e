"""What is owed to those who asked for storage commitment: a report each, durable from the answer to the request on.

``<TransactionUID>-<12 hex digits of sha256 over who asked whom>.json`` is there from before the N-ACTION is answered
with success until the requester has answered the N-EVENT-REPORT, or an event says why it never did.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.archive.protocol.command import Status
from orchestrator.archive.protocol.uid import is_uid, shown
from orchestrator.archive.spool.deferred_events import DeferredEvent, DeferredEvents
from orchestrator.durable import DurableFolders, sync_folder, write_durably

UNREPORTED, REFUSED, UNREADABLE = "commitment-unreported", "commitment-refused", "commitment-unreadable"
"""Kinds of the events in which a debt ends that was not paid."""
_WARNINGS = {0x0001, 0x0107, 0x0116}
"""The report was taken, not all of it as it was meant (PS3.7 C.4)."""
_DIGEST_DIGITS = 12
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reference:
    """One object that a commitment is about."""

    sop_class: str
    sop_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request for storage commitment: who asked which AE title of ours, for what, and when.

    asked_at: seconds since 1970. association: the one that it came on, where the report goes while that is open;
    empty after a restart.
    """

    requester: str
    provider: str
    transaction_uid: str
    references: tuple[Reference, ...]
    asked_at: float
    association: str = ""


class Owed:
    """The folder of what is owed; one process at a time may have it.

    A request under the same transaction as an earlier one of the same requester takes the place of that one: who asks
    again before it was told is owed one report, and who asks again afterwards is owed another one.
    """

    def __init__(self, folder: Path, events: DeferredEvents) -> None:
        self._folder = folder
        self._folders = DurableFolders(folder.parent)
        self._events = events
        self._lock = threading.Lock()
        self._owed: dict[str, Asked] = {}  # by the name of its file

    def take_up(self) -> list[Asked]:
        """Return what an earlier process left, the oldest first; what cannot be read is set aside, with an event."""
        for part in self._folder.glob(".*.part"):  # nobody was answered with success for it
            with suppress(OSError):
                part.unlink()
        for path in self._folder.glob("*.json"):
            try:
                self._owed[path.name] = _read(path)
            except (OSError, ValueError, TypeError, KeyError) as fault:
                self._set_aside(path, fault)
        return sorted(self._owed.values(), key=lambda asked: asked.asked_at)

    def waiting(self) -> list[Asked]:
        """Return what is owed, the oldest first, as its files say; any process may ask."""
        found = []
        for path in self._folder.glob("*.json"):
            with suppress(OSError, ValueError, TypeError, KeyError):
                found.append(_read(path))
        return sorted(found, key=lambda asked: asked.asked_at)

    def keep(self, asked: Asked) -> None:
        """Return when it is durable that a report is owed; only then may the request be answered with success.

        Raises OSError.
        """
        path = self._path(asked)
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        with self._lock:
            self._folders.make(self._folder)
            write_durably(path, _content(asked))
            self._owed[path.name] = asked

    def owes(self, asked: Asked) -> bool:
        """Return whether this request waits for its report still; not so where it was asked again since."""
        return self._owed.get(self._path(asked).name) is asked

    def asked_on(self, association: str) -> list[Asked]:
        """Return what is owed still of that which was asked on the association."""
        with self._lock:
            return [asked for asked in self._owed.values() if asked.association == association]

    def answered(self, asked: Asked, status: int) -> None:
        """Owe the report no more: the requester was told. Where it did not take the report, an event says so."""
        if status == Status.SUCCESS or status in _WARNINGS:
            self._end(asked, None)
            return
        text = f"{asked.requester} refused the report of transaction {asked.transaction_uid} with {status:04X}H"
        self._end(asked, DeferredEvent(REFUSED, asked.transaction_uid, f"{text}; it may ask again"))

    def give_up(self, asked: Asked, why: str) -> None:
        """Owe the report no more: the requester cannot be told, and an event says so."""
        self._end(asked, DeferredEvent(UNREPORTED, asked.transaction_uid, why))

    def _end(self, asked: Asked, event: DeferredEvent | None) -> None:
        """Remove the debt when its event is durable; where the disk takes neither, it stays."""
        path = self._path(asked)
        try:
            with self._lock:
                if not self.owes(asked):
                    return
                if event is not None:
                    self._events.put(path.stem, event)
                    _log.warning("%s", event.text)
                path.unlink(missing_ok=True)
                del self._owed[path.name]
                sync_folder(self._folder)
        except OSError as fault:
            _log.error("the end of transaction %s cannot be kept: %s", asked.transaction_uid, type(fault).__name__)

    def _set_aside(self, path: Path, fault: Exception) -> None:
        subject = shown(path.name.partition("-")[0])
        text = f"what was asked cannot be read any more ({type(fault).__name__}), so its report was not sent"
        _log.error("transaction %s: %s; the file is set aside in %s", subject, text, self._folder)
        try:
            self._events.put(path.stem, DeferredEvent(UNREADABLE, subject, f"{text}; its sender can ask again"))
            path.rename(path.with_suffix(".broken"))
        except OSError as second:
            _log.error("it cannot be set aside: %s", type(second).__name__)

    def _path(self, asked: Asked) -> Path:
        return self._folder / _name(asked)


def _name(asked: Asked) -> str:
    digest = hashlib.sha256(f"{asked.requester}\\{asked.provider}".encode()).hexdigest()
    return f"{asked.transaction_uid}-{digest[:_DIGEST_DIGITS]}.json"


def _content(asked: Asked) -> bytes:
    kept = {
        "requester": asked.requester,
        "provider": asked.provider,
        "transaction_uid": asked.transaction_uid,
        "asked_at": asked.asked_at,
        "references": [[reference.sop_class, reference.sop_uid] for reference in asked.references],
    }
    return json.dumps(kept).encode()


def _read(path: Path) -> Asked:
    """Return what was asked.

    Raises OSError, ValueError, TypeError, KeyError where that is not there.
    """
    kept: Mapping[str, Any] = json.loads(path.read_bytes())
    asked = Asked(
        requester=kept["requester"],
        provider=kept["provider"],
        transaction_uid=kept["transaction_uid"],
        asked_at=float(kept["asked_at"]),
        references=tuple(Reference(sop_class, sop_uid) for sop_class, sop_uid in kept["references"]),
    )
    named = (uid for reference in asked.references for uid in (reference.sop_class, reference.sop_uid))
    if not asked.references or not all(map(is_uid, named)) or path.name != _name(asked):
        raise ValueError("it names no object, or another transaction than its name")
    return asked
