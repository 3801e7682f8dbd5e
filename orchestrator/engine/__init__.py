"""The durable engine: queues, flows that survive a crash, and locks of live processes. It does not know the ledger.

The engine's library takes a second to import, so Engine, Client and what belongs to them come at first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from orchestrator.engine.flows import Flow, FlowRaised, OutsideFlow, StepRaised, describe, frames, step
from orchestrator.engine.liveness import ExecutorInUse, ProcessLock, role_lock

if TYPE_CHECKING:
    from orchestrator.engine.client import Client, FlowState, FlowStatus
    from orchestrator.engine.runtime import Engine, Queue

__all__ = [
    "Client",
    "Engine",
    "ExecutorInUse",
    "Flow",
    "FlowRaised",
    "FlowState",
    "FlowStatus",
    "OutsideFlow",
    "ProcessLock",
    "Queue",
    "StepRaised",
    "describe",
    "frames",
    "role_lock",
    "step",
]

_AT_FIRST_USE = {
    "Client": "client",
    "FlowState": "client",
    "FlowStatus": "client",
    "Engine": "runtime",
    "Queue": "runtime",
}


def __getattr__(name: str) -> object:
    if name not in _AT_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_AT_FIRST_USE[name]}"), name)
