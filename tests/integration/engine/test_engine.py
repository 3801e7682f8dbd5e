from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.domain.errors import (
    ForbiddenTransition,
    OrchestratorError,
    SettingsError,
    UnknownRecord,
    UnsupportedInput,
)
from orchestrator.domain.job import Priority
from orchestrator.engine import Client, Engine, Flow, FlowState, OutsideFlow, Queue, StepRaised, step
from orchestrator.ledger import Ledger

QUEUE = "models"
ROUTINE = Priority.ROUTINE
PATIENCE_SECONDS = 60.0  # until a test gives up waiting, on a busy machine; none claims a time


@pytest.fixture
def flows() -> dict[str, Flow]:
    """Return the flows of the engines: a test adds its own before the launch."""
    return {}


@pytest.fixture
def make(database_url: str, lock_folder: Path, flows: dict[str, Flow]) -> Iterator[Callable[..., Engine]]:
    """Return a function that makes an engine, closed at the end of the test."""
    made: list[Engine] = []

    def make(concurrency: int = 4, executor_id: str = "a") -> Engine:
        queues = [Queue(QUEUE, concurrency)]
        engine = Engine(
            database_url,
            executor_id=executor_id,
            lock_folder=lock_folder,
            queues=queues,
            flows=flows,
            poll_seconds=0.02,
        )
        made.append(engine)
        return engine

    yield make
    for engine in made:
        engine.close()


@pytest.fixture
def engine(make: Callable[..., Engine]) -> Engine:
    """Return an engine that is launched when its flows are registered: at the first ``run``, or by the test."""
    return make()


def run(engine: Client, flow: str, *args: object, key: str = "k") -> FlowState:
    if isinstance(engine, Engine) and not engine.launched:
        engine.launch()
    assert engine.enqueue(flow, key, *args, queue=QUEUE, priority=ROUTINE)
    return engine.wait(flow, key, PATIENCE_SECONDS).state


def test_a_flow_gets_its_arguments_and_its_steps_results(engine: Engine, flows: dict[str, Flow]) -> None:
    seen: list[object] = []

    def flow(key: str, number: int, more: list[int]) -> None:
        seen.append((key, step("double", lambda: (number * 2, more))))

    flows["sum"] = flow
    assert run(engine, "sum", "k", 21, [1]) is FlowState.FINISHED
    assert seen == [("k", [42, [1]])]  # a tuple is a list after a crash, so it is one before it too


def test_a_flow_and_a_key_run_once_for_ever(engine: Engine, flows: dict[str, Flow]) -> None:
    ran: list[str] = []
    flows["once"] = ran.append
    assert run(engine, "once", "first") is FlowState.FINISHED
    assert not engine.enqueue("once", "k", "second", queue=QUEUE, priority=ROUTINE)
    assert run(engine, "once", "third", key="other") is FlowState.FINISHED
    assert ran == ["first", "third"]


def test_an_unexpected_exception_is_told_without_its_message(
    engine: Engine, caplog: pytest.LogCaptureFixture, flows: dict[str, Flow]
) -> None:
    def flow() -> None:
        raise ValueError("DOE^JANE")

    flows["faulty"] = flow
    assert run(engine, "faulty") is FlowState.RAISED
    status = engine.status("faulty", "k")
    assert status is not None
    assert status.error.startswith("ValueError at test_engine.py:")
    assert "test_engine.py" in caplog.text
    assert "DOE^JANE" not in caplog.text.replace('raise ValueError("DOE^JANE")', "")


def test_a_step_that_raises_is_told_by_the_message_of_our_own_errors(engine: Engine, flows: dict[str, Flow]) -> None:
    caught: list[str] = []

    def refuse() -> None:
        raise UnsupportedInput("seen on a picture of the knee")

    def flow() -> None:
        try:
            step("read", refuse)
        except StepRaised as refusal:
            caught.append(str(refusal))

    flows["refused"] = flow
    assert run(engine, "refused") is FlowState.FINISHED
    assert caught == ["UnsupportedInput: refused-by-model: seen on a picture of the knee"]


@pytest.mark.parametrize("value", [Path("/x"), object(), float("nan"), {1, 2}])
def test_a_step_that_returns_more_than_references_is_refused(
    engine: Engine, value: object, flows: dict[str, Flow]
) -> None:
    flows["large"] = lambda: step("read", lambda: value) and None
    assert run(engine, "large") is FlowState.RAISED
    status = engine.status("large", "k")
    assert status is not None
    assert status.error.startswith("TypeError at flows.py")


def test_a_step_within_a_step_is_refused(engine: Engine, flows: dict[str, Flow]) -> None:
    flows["nested"] = lambda: step("outer", lambda: step("inner", lambda: 1)) and None
    assert run(engine, "nested") is FlowState.RAISED
    status = engine.status("nested", "k")
    assert status is not None
    assert "OutsideFlow: step 'inner'" in status.error


def test_a_flow_that_raised_can_be_tried_again_any_number_of_times(engine: Engine, flows: dict[str, Flow]) -> None:
    steps: list[str] = []

    def flow() -> None:
        step("one", steps.append, "one")
        if len(steps) < 4:
            raise ValueError

    flows["flaky"] = flow
    assert run(engine, "flaky") is FlowState.RAISED
    for expected in (FlowState.RAISED, FlowState.RAISED, FlowState.FINISHED, FlowState.FINISHED):
        engine.rerun("flaky", "k")
        assert engine.wait("flaky", "k", PATIENCE_SECONDS).state is expected
    assert steps == ["one"] * 5  # a person asks for a new run, from its first step


def test_what_is_queued_or_unknown_is_not_tried_again(make: Callable[..., Engine]) -> None:
    client = make()
    with pytest.raises(UnknownRecord, match="nothing of k was never queued"):
        client.rerun("nothing", "k")
    client.enqueue("later", "k", queue=QUEUE, priority=ROUTINE)
    with pytest.raises(ForbiddenTransition, match="later of k is queued or running already"):
        client.rerun("later", "k")


def test_urgent_work_goes_first(make: Callable[..., Engine], flows: dict[str, Flow]) -> None:
    order: list[str] = []
    flows["ordered"] = order.append
    engine = make(concurrency=1)
    for priority in (Priority.BACKFILL, Priority.ROUTINE, Priority.URGENT, Priority.STAT):
        engine.enqueue("ordered", priority, priority, queue=QUEUE, priority=priority)
    engine.launch()
    until_idle(engine)
    assert order == ["stat", "urgent", "routine", "backfill"]


def test_what_was_tried_again_keeps_its_queue_and_its_place(
    make: Callable[..., Engine], flows: dict[str, Flow]
) -> None:
    order: list[str] = []

    def flow(name: str) -> None:
        order.append(name)
        if order == ["stat"]:
            raise ValueError

    flows["ordered"] = flow
    engine = make(concurrency=1)
    engine.enqueue("ordered", "stat", "stat", queue=QUEUE, priority=Priority.STAT)
    engine.launch()
    engine.wait("ordered", "stat", PATIENCE_SECONDS)
    engine.close()
    engine.enqueue("ordered", "routine", "routine", queue=QUEUE, priority=Priority.ROUTINE)
    engine.rerun("ordered", "stat")
    engine.launch()
    until_idle(engine)
    assert order == ["stat", "stat", "routine"]


def test_no_more_flows_run_at_once_than_the_queue_allows(make: Callable[..., Engine], flows: dict[str, Flow]) -> None:
    lock, now, most = threading.Lock(), 0, 0
    pair = threading.Barrier(2, timeout=PATIENCE_SECONDS)  # on a slow disk one could end before the next begins

    def flow() -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        pair.wait()
        time.sleep(0.05)
        with lock:
            now -= 1

    flows["counted"] = flow
    engine = make(concurrency=2)
    for number in range(8):
        engine.enqueue("counted", str(number), queue=QUEUE, priority=ROUTINE)
    engine.launch()
    until_idle(engine)
    assert most == 2


def test_an_engine_may_be_closed_and_launched_again_and_leaves_no_thread(
    make: Callable[..., Engine], flows: dict[str, Flow]
) -> None:
    before = set(threading.enumerate())
    ran: list[str] = []
    flows["noted"] = ran.append
    for name in ("first", "second"):
        engine = make()
        run(engine, "noted", name, key=name)
        engine.close()
    assert ran == ["first", "second"]
    assert set(threading.enumerate()) <= before


def test_closing_waits_for_what_runs(engine: Engine, flows: dict[str, Flow]) -> None:
    began, ended = threading.Event(), threading.Event()

    def flow() -> None:
        began.set()
        time.sleep(0.3)
        ended.set()

    flows["slow"] = flow
    engine.launch()
    engine.enqueue("slow", "k", queue=QUEUE, priority=ROUTINE)
    assert began.wait(PATIENCE_SECONDS)
    engine.close()
    assert ended.is_set()


def test_a_process_runs_one_engine(engine: Engine, make: Callable[..., Engine]) -> None:
    engine.launch()
    with pytest.raises(OrchestratorError, match="this process runs an engine already"):
        make(executor_id="b").launch()
    assert engine.idle()


def test_a_launch_that_fails_leaves_nothing_behind(
    make: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make()
    with monkeypatch.context() as broken:
        broken.setattr("dbos.DBOS.launch", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            engine.launch()
    engine.launch()
    assert engine.idle()


@pytest.mark.parametrize("executor_id", ["", "../a", "a b", "ä", ".hidden"])
def test_an_executor_id_is_a_plain_name(make: Callable[..., Engine], executor_id: str) -> None:
    with pytest.raises(SettingsError, match="executor id"):
        make(executor_id=executor_id)


def test_a_client_of_another_process_sees_and_queues(engine: Engine, database_url: str, flows: dict[str, Flow]) -> None:
    flows["seen"] = lambda: None
    engine.launch()
    with Client(database_url) as client:
        assert client.status("seen", "k") is None
        assert run(client, "seen") is FlowState.FINISHED
        assert client.idle()
    assert engine.status("seen", "k") is not None


def test_what_waits_for_other_steps_is_told_at_launch(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as another_version:
        another_version.setattr("orchestrator.engine.client.STEPS_VERSION", "0")
        engine.enqueue("old", "k", queue=QUEUE, priority=ROUTINE)
    engine.launch()
    assert "flow old of k was queued by another version; not run here" in caplog.text


def test_a_flow_that_this_version_does_not_have_is_cancelled_at_launch(
    engine: Engine, flows: dict[str, Flow], caplog: pytest.LogCaptureFixture
) -> None:
    engine.enqueue("deliver", "k", queue=QUEUE, priority=ROUTINE)
    flows["noted"] = lambda: None
    engine.launch()
    status = engine.status("deliver", "k")
    assert status is not None
    assert status.state is FlowState.CANCELLED
    assert "flow deliver of k is cancelled: this version has no such flow" in caplog.text


def test_waiting_has_an_end(make: Callable[..., Engine]) -> None:
    client = make()
    client.enqueue("never", "k", queue=QUEUE, priority=ROUTINE)
    with pytest.raises(TimeoutError, match=r"never of k is still queued after 0\.05 s"):
        client.wait("never", "k", 0.05)


def test_the_engine_and_the_ledger_share_a_database(engine: Engine, ledger: Ledger, flows: dict[str, Flow]) -> None:
    def flow(key: str) -> None:
        step("note", lambda: ledger.events.record("note", key, "from a step").sequence)

    flows["both"] = flow
    engine.launch()
    for number in range(20):
        engine.enqueue("both", str(number), str(number), queue=QUEUE, priority=ROUTINE)
        ledger.events.record("note", "main", "from the main thread")
    until_idle(engine)
    assert len(ledger.events.after()) == 40


def test_the_engine_says_nothing_below_a_warning(
    engine: Engine, caplog: pytest.LogCaptureFixture, flows: dict[str, Flow]
) -> None:
    flows["quiet"] = lambda: None
    with caplog.at_level(logging.INFO):
        run(engine, "quiet")
        engine.close()
    assert [record for record in caplog.records if record.name == "dbos"] == []


def test_a_step_outside_a_flow_is_refused() -> None:
    with pytest.raises(OutsideFlow, match="step 'read' was called outside a durable flow"):
        step("read", lambda: 1)


def until_idle(engine: Client) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not engine.idle():
        assert time.monotonic() < deadline
        time.sleep(0.02)
