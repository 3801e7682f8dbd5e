"""The durable engine: runs flows from queues, and continues after the last finished step after a crash.

DBOS does the work; there is one per process.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, PortableWorkflowError

from orchestrator.domain.errors import OrchestratorError
from orchestrator.engine.client import APPLICATION, STEPS_VERSION, Client
from orchestrator.engine.flows import Flow, FlowRaised, StepRaised, describe, frames, remembering
from orchestrator.engine.liveness import ExecutorInUse, executor_lock, is_dead, requeue_left_by

log = logging.getLogger(__name__)

RECOVERY_ATTEMPTS = 3
"""How often a flow is restarted after its process died in it; after the next death it is parked."""
_one_at_a_time = threading.Lock()


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue and how many of its flows run at once in this process."""

    name: str
    concurrency: int


class Engine(Client):
    """Runs the flows of its queues; one at a time in a process, one process for an executor id.

    executor_id: stable over restarts ("hostA-gpu0"); interrupted work belongs to it.
    lock_folder: where the locks on executor ids lie, the same for all processes of a machine.
    flows: by a name that never changes.
    """

    def __init__(
        self,
        database_url: str,
        *,
        executor_id: str,
        lock_folder: Path,
        queues: Sequence[Queue],
        flows: Mapping[str, Flow] | None = None,
        poll_seconds: float = 0.1,
    ) -> None:
        super().__init__(database_url)
        self._executor_id = executor_id
        self._lock_folder = lock_folder
        self._lock = executor_lock(database_url, lock_folder, executor_id)
        self._queues = tuple(queues)
        self._flows = {} if flows is None else flows
        self._poll_seconds = poll_seconds
        self._busy: set[int] = set()
        self.launched = False

    def launch(self) -> None:
        """Start to run the flows, first those that this executor id left unfinished.

        Raises ExecutorInUse where another process has this id, OrchestratorError where this process
        runs an engine already.
        """
        if not _one_at_a_time.acquire(blocking=False):
            raise OrchestratorError("this process runs an engine already; close it first")
        try:
            self._take_id()
            self._forgive_attempts()
            self._warn_of_stranded_flows()
            self._cancel_unknown_flows()
            self._declare_queues()
            self._start()
        except BaseException:
            DBOS.destroy(destroy_registry=True)
            self._lock.release()
            _one_at_a_time.release()
            raise
        self.launched = True

    def close(self, *, drain_seconds: int = 10, forgive: bool = True) -> None:
        """Start no more flows, wait for running ones for a while, and stop.

        The next launch restarts those that still run then. They did not cause this end, so no attempt is counted
        (``forgive``).
        """
        if self.launched:
            patience = drain_seconds if self._busy else 0  # DBOS waits a second at least
            DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=patience)
            if forgive:
                self._closed_mark.touch()
            self.launched = False
            self._lock.release()
            _one_at_a_time.release()
        super().close()

    def poll_every(self, queue: str, seconds: float) -> None:
        """Poll a queue at this interval until the next launch."""
        dbos_queue = self._dbos.retrieve_queue(queue)
        if dbos_queue is not None:
            dbos_queue.set_polling_interval_sec(seconds)

    def adopt(self, executor_ids: Collection[str] | None = None) -> tuple[str, ...]:
        """Queue the work of dead executors again and return their ids; to be called every few seconds.

        executor_ids: check only these; default: all others with unfinished work.
        """
        if not self._lock.keep():
            log.error("executor id %s: another process took it while this one runs", self._executor_id)
        others = {flow.executor_id for flow in self.running()} - {self._executor_id}
        if executor_ids is not None:
            others &= set(executor_ids)
        dead = [name for name in sorted(others) if is_dead(executor_lock(self._url, self._lock_folder, name))]
        for name in dead:
            log.warning("executor %s is dead; its work is queued again", name)
            requeue_left_by(self._url, self._lock_folder, name)
        return tuple(dead)

    @property
    def _closed_mark(self) -> Path:
        """The file that says that this executor was closed the last time, not killed."""
        return self._lock_folder / f"{self._executor_id}.closed"

    def _take_id(self) -> None:
        if not self._lock.acquire():
            raise ExecutorInUse(
                f"executor id {self._executor_id} is in use by another process; give each process an id of its own"
            )

    def _forgive_attempts(self) -> None:
        """Reset the attempts of flows that a close interrupted: only a crash counts."""
        self._lock_folder.mkdir(parents=True, exist_ok=True)
        if self._closed_mark.exists():
            self._requeue([flow for flow in self.running() if flow.executor_id == self._executor_id])
            self._closed_mark.unlink()

    def _warn_of_stranded_flows(self) -> None:
        for flow in self.stranded():
            log.warning("flow %s of %s was queued by another version; not run here", flow.flow, flow.key)

    def _cancel_unknown_flows(self) -> None:
        """Cancel the flows that earlier versions had and no program runs any more."""
        if self._flows:  # a process that only adopts work knows no flows
            self._cancel([flow for flow in self.active() if flow.flow not in self._flows])

    def _declare_queues(self) -> None:
        for queue in self._queues:
            self._dbos.register_queue(
                queue.name,
                worker_concurrency=queue.concurrency,
                polling_interval_sec=self._poll_seconds,
                on_conflict="always_update",
            )

    def _start(self) -> None:
        config = DBOSConfig(
            name=APPLICATION,
            system_database_url=self._url,
            executor_id=self._executor_id,
            application_version=STEPS_VERSION,
            serializer=DBOSPortableJSONSerializer(),
            log_level="WARNING",
            notification_listener_polling_interval_sec=0.1,  # without listeners; a close waits this long
        )
        DBOS(config=config)
        for name, flow in self._flows.items():
            DBOS.workflow(name=name, max_recovery_attempts=RECOVERY_ATTEMPTS)(self._durably(name, flow))
        DBOS.listen_queues([queue.name for queue in self._queues])
        DBOS.launch()

    def _durably(self, name: str, flow: Flow) -> Flow:
        """Return the flow with a store for its steps; unexpected errors are logged without patient data."""

        def run(*args: object) -> None:
            self._busy.add(threading.get_ident())
            try:
                with remembering(_remember):
                    flow(*args)
            except Exception as error:  # noqa: BLE001  # the flow ends, the engine continues
                log.error("flow %s: %s\n%s", name, describe(error), frames(error))
                raise FlowRaised(describe(error)) from None
            finally:
                self._busy.discard(threading.get_ident())

        return run


def _remember(name: str, run: Callable[[], object]) -> object:
    try:
        return DBOS.run_step({"name": name}, run)
    except PortableWorkflowError as error:  # the step raised before a crash
        raise StepRaised(error.message) from None
