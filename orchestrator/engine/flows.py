"""Durable flows and their steps: plain functions that the engine runs to their end across crashes.

This module knows no engine, so that flows can be written, read and imported without one.
"""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import ParamSpec, Protocol, TypeVar

from orchestrator.domain.errors import OrchestratorError

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
Flow = Callable[..., None]
"""A durable flow: takes JSON-able references (keys, names), never pixels, and does the same at each call.

Whatever may differ between two runs, or has an effect, belongs into a step.
"""


class OutsideFlow(OrchestratorError, RuntimeError):
    """A step was called outside a flow, where its result would not be stored."""


class StepRaised(OrchestratorError):
    """A step ended with an exception; the message names it, also after a crash."""


class FlowRaised(OrchestratorError):
    """A flow ended with an unexpected exception; its status shows the message."""


class Remember(Protocol):
    """The engine's store of step results."""

    def __call__(self, name: str, run: Callable[[], object]) -> object:
        """Return the result of ``run``, or its result before a crash.

        Raises StepRaised.
        """


_memory: ContextVar[Remember | None] = ContextVar("memory of the running flow", default=None)


def step(name: str, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return the result of ``fn``, which is stored: after a crash a finished step does not run again.

    An interrupted step does run again, so it must be repeatable. The stored result is JSON, and a step returns the
    same before and after a crash: a tuple becomes a list in both cases.
    Raises OutsideFlow outside a running flow and within another step; StepRaised where fn raised;
    TypeError (as StepRaised) where fn returned a value that JSON cannot hold.
    """
    remember = _memory.get()
    if remember is None:
        raise OutsideFlow(f"step {name!r} was called outside a durable flow; enqueue the flow in an engine")

    def run() -> object:
        with remembering(None):  # a step within a step would not be stored
            try:
                return _as_json(name, fn(*args, **kwargs))
            except Exception as error:  # noqa: BLE001  # any error is stored, and raised once more after a crash
                log.error("step %s: %s\n%s", name, describe(error), frames(error))
                # from None: the message of another library's error could hold patient data
                raise StepRaised(describe(error)) from None

    return remember(name, run)  # type: ignore[return-value]  # JSON of a T, as the docstring says


@contextmanager
def remembering(memory: Remember | None) -> Iterator[None]:
    """Give the steps of this block, in this thread, a memory."""
    before = _memory.set(memory)
    try:
        yield
    finally:
        _memory.reset(before)


def describe(error: BaseException) -> str:
    """Return the error without patient data: only messages of OrchestratorError are known to hold none."""
    kind = type(error).__name__
    if isinstance(error, StepRaised):
        return str(error)
    if isinstance(error, OrchestratorError):
        return f"{kind}: {error}"
    *_, last = traceback.extract_tb(error.__traceback__)
    return f"{kind} at {Path(last.filename).name}:{last.lineno}"


def frames(error: BaseException) -> str:
    """Return the error's lines of code, without any value."""
    return "".join(traceback.format_tb(error.__traceback__))


def _as_json(name: str, value: object) -> object:
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError):
        raise TypeError(f"step {name!r} returned a {type(value).__name__} that JSON cannot hold") from None
