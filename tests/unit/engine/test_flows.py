from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from orchestrator.domain.errors import InvalidResult
from orchestrator.engine import OutsideFlow, StepRaised, step
from orchestrator.engine.flows import describe, remembering


class Memory:
    """Remembers steps by name, as an engine does."""

    def __init__(self) -> None:
        self.kept: dict[str, object] = {}

    def __call__(self, name: str, run: Callable[[], object]) -> object:
        if name not in self.kept:
            self.kept[name] = run()
        return self.kept[name]


def test_a_step_that_is_remembered_does_not_run_again() -> None:
    ran: list[str] = []
    with remembering(Memory()):
        for _ in range(2):
            step("read", ran.append, "read")
    assert ran == ["read"]


@pytest.mark.parametrize(
    ("value", "kept"), [((1, 2), [1, 2]), ({"a": None}, {"a": None}), ("text", "text"), (0.1, 0.1), (None, None)]
)
def test_a_step_returns_at_once_what_it_returns_after_a_crash(value: object, kept: object) -> None:
    memory = Memory()
    with remembering(memory):
        returned = step("read", lambda: value)
    assert (returned, memory.kept) == (kept, {"read": kept})


def test_steps_take_arguments_by_name() -> None:
    with remembering(Memory()):
        assert step("sum", lambda a, b: a + b, 1, b=2) == 3


def test_a_step_outside_a_flow_is_refused() -> None:
    with pytest.raises(OutsideFlow, match="step 'read' was called outside a durable flow"):
        step("read", int)


def test_the_memory_ends_with_its_flow() -> None:
    with remembering(Memory()):
        step("read", int)
    with pytest.raises(OutsideFlow):
        step("read", int)


def test_a_step_raises_the_same_before_and_after_a_crash() -> None:
    def fail() -> None:
        raise InvalidResult("mask of another shape")

    with remembering(Memory()), pytest.raises(StepRaised, match="InvalidResult: mask of another shape") as raised:
        step("check", fail)
    assert raised.value.__cause__ is None


def test_an_error_that_is_not_ours_is_described_without_its_message() -> None:
    try:
        int("DOE^JANE")
    except ValueError as error:
        described = describe(error)
    assert described.startswith("ValueError at test_flows.py:")
    assert "DOE" not in described


def test_flows_and_ledger_are_imported_without_the_engine() -> None:
    imports = "from orchestrator.engine import step; from orchestrator.ledger import Ledger"
    check = f"{imports}; import sys; assert 'dbos' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
