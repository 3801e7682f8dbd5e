"""The ledger of series, jobs and reviews, and the durable engine that runs flows.

The engine's library takes a second to import, so Engine, Client and what belongs to them come at first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from orchestrator.jobs.database import DatabaseUnavailable, database_faults
from orchestrator.jobs.flows import FlowRaised, OutsideFlow, StepRaised, describe, durable, frames, step
from orchestrator.jobs.ledger import AskedSeries, Ledger, StoredInstance
from orchestrator.jobs.supervision import ExecutorInUse, ProcessLock, role_lock

if TYPE_CHECKING:
    from orchestrator.jobs.client import Client, FlowState, FlowStatus
    from orchestrator.jobs.engine import Engine, Queue

__all__ = [
    "AskedSeries",
    "Client",
    "DatabaseUnavailable",
    "Engine",
    "ExecutorInUse",
    "FlowRaised",
    "FlowState",
    "FlowStatus",
    "Ledger",
    "OutsideFlow",
    "ProcessLock",
    "Queue",
    "StepRaised",
    "StoredInstance",
    "database_faults",
    "describe",
    "durable",
    "frames",
    "role_lock",
    "step",
]

_AT_FIRST_USE = {
    "Client": "client",
    "FlowState": "client",
    "FlowStatus": "client",
    "Engine": "engine",
    "Queue": "engine",
}


def __getattr__(name: str) -> object:
    if name not in _AT_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_AT_FIRST_USE[name]}"), name)
