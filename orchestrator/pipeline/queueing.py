"""How a job gets into the engine's queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.domain.records import JobRecord

if TYPE_CHECKING:
    from orchestrator.jobs import Client

MODEL_QUEUE = "models"


def delivery_queue(destination: str) -> str:
    """Return the queue of one destination: a slow one holds up no other."""
    return f"deliveries to {destination}"


def queue_job(client: Client, job: JobRecord) -> None:
    """Queue a waiting job's flow: for the first time, or again where it ended before; twice changes nothing."""
    if client.enqueue("infer", job.key, job.key, queue=MODEL_QUEUE, priority=job.priority):
        return
    flow = client.status("infer", job.key)
    if flow is not None and flow.ended:
        client.again("infer", job.key)
