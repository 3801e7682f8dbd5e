"""How a job gets its key and its place in the engine's queue."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING

from orchestrator.domain.errors import ForbiddenTransition, UnknownRecord
from orchestrator.domain.job import JobState
from orchestrator.domain.records import JobRecord

if TYPE_CHECKING:
    from orchestrator.engine import Client
    from orchestrator.ledger import Ledger

MODEL_QUEUE = "models"
INFER = "infer"
"""The durable flow that runs a job."""


def unused_key(ledger: Ledger, key: str) -> str:
    """Return the key, or the next one derived from it where its job was superseded: such a job never runs again.

    So content that returns after a correction, and a model that returns after an update, run once more.
    """
    while _is_superseded(ledger, key):
        key = hashlib.sha256(f"{key} again".encode()).hexdigest()
    return key


def _is_superseded(ledger: Ledger, key: str) -> bool:
    try:
        return ledger.jobs.get(key).state is JobState.SUPERSEDED
    except UnknownRecord:
        return False


def queue_job(client: Client, job: JobRecord) -> None:
    """Queue a waiting job's flow: for the first time, or once more where it ended. Repeating it changes nothing."""
    if client.enqueue(INFER, job.key, job.key, queue=MODEL_QUEUE, priority=job.priority):
        return
    flow = client.status(INFER, job.key)
    if flow is not None and flow.ended:
        with suppress(ForbiddenTransition):  # another process has queued it since
            client.rerun(INFER, job.key)
