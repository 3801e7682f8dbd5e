"""A client of the engine in any process: queues a flow, asks for its state, runs it once more."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, Self

from dbos import DBOS, DBOSClient, DBOSPortableJSONSerializer, EnqueueOptions, WorkflowStatus
from dbos import error as dbos_error

from orchestrator.database import Database, parse_url
from orchestrator.domain.errors import ForbiddenTransition, UnknownRecord
from orchestrator.domain.job import Priority

APPLICATION = "orchestrator"
STEPS_VERSION = "1"
"""Raised only when the steps of a flow change: work in flight under another version is left alone."""
_QUEUE = "queue"  # the attribute with a flow's queue, which a parked flow has lost

log = logging.getLogger(__name__)
logging.getLogger("dbos").addHandler(logging.NullHandler())  # else it prints to the console


class FlowState(StrEnum):
    """The states of a flow."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    RAISED = "raised"
    PARKED = "parked"  # its process died too often while it ran
    CANCELLED = "cancelled"


_STATES = {
    "ENQUEUED": FlowState.QUEUED,
    "DELAYED": FlowState.QUEUED,
    "PENDING": FlowState.RUNNING,
    "SUCCESS": FlowState.FINISHED,
    "ERROR": FlowState.RAISED,
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": FlowState.PARKED,
    "CANCELLED": FlowState.CANCELLED,
}
_ACTIVE = [status for status, state in _STATES.items() if state in {FlowState.QUEUED, FlowState.RUNNING}]


@dataclass(frozen=True, slots=True)
class FlowStatus:
    """The state of one flow: how often it was started, and the error that ended it."""

    flow: str
    key: str
    state: FlowState
    attempts: int
    error: str
    executor_id: str = ""

    @property
    def ended(self) -> bool:
        """True where the engine does nothing more with it."""
        return self.state not in {FlowState.QUEUED, FlowState.RUNNING}


class Client:
    """Queues flows and returns their states; runs none. Thread-safe; connects at the first use."""

    def __init__(self, database_url: str) -> None:
        self._url = parse_url(database_url).render_as_string(hide_password=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        if "_dbos" in self.__dict__:
            self._dbos.destroy()
            del self.__dict__["_dbos"]

    def enqueue(self, flow: str, key: str, *args: object, queue: str, priority: Priority) -> bool:
        """Return True where the flow was queued, False where this flow and key were queued before.

        A flow and a key run only once, whatever the outcome; ``rerun`` runs them once more.
        """
        options = EnqueueOptions(
            workflow_name=flow,
            workflow_id=flow_id(flow, key),
            workflow_id_reuse_policy="reject",
            queue_name=queue,
            priority=priority.rank,
            app_version=STEPS_VERSION,
            attributes={_QUEUE: queue},
        )
        try:
            self._dbos.enqueue(options, *args)
        except dbos_error.DBOSWorkflowIDInUseError:
            return False
        return True

    def rerun(self, flow: str, key: str) -> None:
        """Queue a flow that ended once more, from its first step and with all its attempts.

        Raises UnknownRecord; ForbiddenTransition where it is queued or running.
        """
        workflow = self._find(flow, key)
        if workflow is None:
            raise UnknownRecord(f"{flow} of {key} was never queued")
        try:
            self._dbos.rewind_workflow(
                workflow.workflow_id, application_version=STEPS_VERSION, queue_name=_queue(workflow)
            )
        except dbos_error.DBOSException:
            raise ForbiddenTransition(f"{flow} of {key} is queued or running already") from None

    def status(self, flow: str, key: str) -> FlowStatus | None:
        """Return the state of the flow, None where it was never queued."""
        workflow = self._find(flow, key)
        return None if workflow is None else _status(workflow)

    def wait(self, flow: str, key: str, timeout_seconds: float) -> FlowStatus:
        """Wait until the flow has ended and return its state.

        Raises UnknownRecord where it was never queued, TimeoutError.
        """
        deadline = time.monotonic() + timeout_seconds
        while True:
            status = self.status(flow, key)
            if status is None:
                raise UnknownRecord(f"{flow} of {key} was never queued")
            if status.ended:
                return status
            if time.monotonic() > deadline:
                raise TimeoutError(f"{flow} of {key} is still {status.state} after {timeout_seconds:g} s")
            time.sleep(0.02)

    def parked(self) -> tuple[FlowStatus, ...]:
        """Return the flows that are not started any more because their process died each time."""
        return self._listed("MAX_RECOVERY_ATTEMPTS_EXCEEDED")

    def running(self) -> tuple[FlowStatus, ...]:
        """Return the flows that were started and have not ended, with their executor, alive or not."""
        return self._listed("PENDING")

    def active(self) -> tuple[FlowStatus, ...]:
        """Return the flows of this STEPS_VERSION that are queued or running."""
        workflows = self._dbos.list_workflows(status=_ACTIVE, load_input=False, load_output=False)
        return tuple(_status(each) for each in workflows if each.app_version == STEPS_VERSION)

    def stranded(self) -> tuple[FlowStatus, ...]:
        """Return the flows that wait for a program with another STEPS_VERSION."""
        workflows = self._dbos.list_workflows(status=_ACTIVE, load_input=False, load_output=False)
        return tuple(_status(each) for each in workflows if each.app_version != STEPS_VERSION)

    def idle(self) -> bool:
        """Return whether no flow is queued or running in this database."""
        return not self._dbos.list_workflows(status=_ACTIVE, limit=1, load_input=False, load_output=False)

    @cached_property
    def _dbos(self) -> DBOSClient:
        prepare(self._url)
        return DBOSClient(
            system_database_url=self._url, serializer=DBOSPortableJSONSerializer(), application_name=APPLICATION
        )

    def _find(self, flow: str, key: str) -> WorkflowStatus | None:
        workflows = self._dbos.list_workflows(workflow_ids=[flow_id(flow, key)], load_input=False)
        return workflows[0] if workflows else None

    def _requeue(self, flows: Iterable[FlowStatus]) -> None:
        """Queue flows that are marked as running but do not run, with all their attempts."""
        for flow in flows:
            workflow = self._find(flow.flow, flow.key)
            if workflow is not None:
                self._dbos.resume_workflow(workflow.workflow_id, queue_name=_queue(workflow))

    def _cancel(self, flows: Iterable[FlowStatus]) -> None:
        for flow in flows:
            log.warning("flow %s of %s is cancelled: this version has no such flow", flow.flow, flow.key)
            self._dbos.cancel_workflow(flow_id(flow.flow, flow.key))

    def _listed(self, status: str) -> tuple[FlowStatus, ...]:
        workflows = self._dbos.list_workflows(status=status, app_version=STEPS_VERSION, load_input=False)
        return tuple(_status(each) for each in workflows)


def flow_id(flow: str, key: str) -> str:
    """Return the engine's id of this flow and key."""
    return f"{flow}:{key}"


def _queue(workflow: WorkflowStatus) -> str | None:
    return (workflow.attributes or {}).get(_QUEUE)


def prepare(url: str) -> None:
    """Create or update the engine's own tables; the database may be new."""
    database = Database(url)  # sets WAL, which DBOS does not and which makes it 2.8 times faster
    try:
        with database.reading():
            pass
    finally:
        database.close()
    logging.getLogger("dbos").setLevel(logging.WARNING)
    DBOS.migrate(url)


def _status(workflow: WorkflowStatus) -> FlowStatus:
    flow, _, key = workflow.workflow_id.partition(":")
    state = _STATES[workflow.status]
    attempts: Any = workflow.recovery_attempts
    error = str(workflow.error) if workflow.error else ""
    if state is FlowState.PARKED:
        error = f"the process ended during each of {attempts - 1} attempts"
    return FlowStatus(flow, key, state, attempts or 0, error, workflow.executor_id or "")
