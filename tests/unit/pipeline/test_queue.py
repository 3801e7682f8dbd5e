"""A job is queued once, whoever queues it at the same time."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

from orchestrator.domain.errors import ForbiddenTransition
from orchestrator.pipeline.jobs.queue import queue_job
from tests.data.records import job_record


@dataclass
class Client:
    """Knows a flow that ended, which another process queues again meanwhile."""

    calls: list[str] = field(default_factory=list)

    def enqueue(self, *_: object, **__: object) -> bool:
        return False

    def status(self, flow: str, key: str) -> SimpleNamespace:
        return SimpleNamespace(flow=flow, key=key, ended=True)

    def rerun(self, flow: str, key: str) -> None:
        self.calls.append(flow)
        raise ForbiddenTransition(f"{flow} of {key} is queued or running already")


def test_a_job_that_another_process_has_queued_meanwhile_is_queued() -> None:
    client = Client()
    queue_job(client, job_record("one"))  # type: ignore[arg-type]
    assert client.calls == ["infer"]
