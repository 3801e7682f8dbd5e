"""A job: one revision of a series and one model; its states and the moves between them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Protocol

from orchestrator.domain.errors import ForbiddenTransition
from orchestrator.domain.model import ModelDescription


class Priority(StrEnum):
    """Priority of a job; live work always goes before backfill."""

    STAT = "stat"
    URGENT = "urgent"
    ROUTINE = "routine"
    BACKFILL = "backfill"

    @property
    def rank(self) -> int:
        """1 = first. Never 0: the engine reads 0 as unset, and unset as first."""
        return list(Priority).index(self) + 1


class Purpose(StrEnum):
    """Why the job runs; part of its key."""

    LIVE = "live"
    SHADOW = "shadow"
    REPLAY = "replay"


class JobState(StrEnum):
    """State of a job; the last seven are final until a person acts."""

    WAITING = "waiting"
    RUNNING = "running"
    DELIVERING = "delivering"
    DONE = "done"
    SUPERSEDED = "superseded"
    NOT_APPLICABLE = "not-applicable"
    UNSUPPORTED = "unsupported"
    FAILED = "failed"
    PARKED = "parked"
    HELD = "held"


_S = JobState
MOVES: Mapping[JobState, frozenset[JobState]] = {
    _S.WAITING: frozenset({_S.RUNNING, _S.SUPERSEDED, _S.HELD, _S.PARKED, _S.FAILED}),
    # running -> running: the engine starts an interrupted attempt again
    # running -> held: its model was retracted while it ran
    _S.RUNNING: frozenset(
        {_S.RUNNING, _S.DELIVERING, _S.DONE, _S.SUPERSEDED, _S.NOT_APPLICABLE, _S.UNSUPPORTED}
        | {_S.FAILED, _S.PARKED, _S.HELD}
    ),
    _S.DELIVERING: frozenset({_S.DELIVERING, _S.DONE, _S.SUPERSEDED, _S.PARKED, _S.FAILED}),
    _S.DONE: frozenset({_S.SUPERSEDED}),
    _S.SUPERSEDED: frozenset(),
    _S.NOT_APPLICABLE: frozenset({_S.WAITING, _S.SUPERSEDED}),
    _S.UNSUPPORTED: frozenset({_S.WAITING, _S.SUPERSEDED}),
    _S.FAILED: frozenset({_S.WAITING, _S.SUPERSEDED}),
    _S.PARKED: frozenset({_S.WAITING, _S.DELIVERING, _S.SUPERSEDED, _S.FAILED}),
    _S.HELD: frozenset({_S.WAITING, _S.SUPERSEDED, _S.FAILED}),
}
ENDED = frozenset({_S.DONE, _S.SUPERSEDED, _S.NOT_APPLICABLE, _S.UNSUPPORTED, _S.FAILED, _S.PARKED, _S.HELD})

LEAVING = frozenset({_S.DELIVERING, _S.PARKED})
"""States in which results are delivered: a job parked for one destination still delivers to the others."""


def move(before: JobState, after: JobState) -> JobState:
    """Return ``after`` where the move is allowed.

    Raises ForbiddenTransition.
    """
    if after not in MOVES[before]:
        raise ForbiddenTransition(f"a job that is {before} cannot become {after}")
    return after


class Identified(Protocol):
    """Identity of an instance: of an Instance, or of its row in the ledger."""

    @property
    def sop_uid(self) -> str:
        """Its SOP Instance UID."""

    @property
    def digest(self) -> str:
        """sha256 over its content."""


def job_key(instances: Iterable[Identified], model: ModelDescription, purpose: Purpose = Purpose.LIVE) -> str:
    """Return the 64 hex digits that name this work: the same input and model give the same key."""
    identity = {
        "instances": sorted((instance.sop_uid, instance.digest) for instance in instances),
        "model": [model.name, model.version, model.digest],
        "parameters": sorted(model.parameters.items()),
        "purpose": purpose.value,
    }
    return hashlib.sha256(json.dumps(identity, separators=(",", ":")).encode()).hexdigest()
