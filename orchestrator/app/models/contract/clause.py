"""Clauses of the contract, their outcomes, and the report about a model."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from orchestrator.app.models.contract.outputs import ModelOutput
from orchestrator.domain.errors import NotApplicable, OrchestratorError, UnsupportedInput
from orchestrator.domain.model import ModelDescription


class Mark(StrEnum):
    """Outcome of a clause."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not applicable"


class Broken(Exception):
    """The model broke a clause; the message says what differs and what to do."""


class Inapplicable(Exception):
    """A clause does not apply to this model or this series; the message says why."""


@dataclass(frozen=True, slots=True)
class Clause:
    """The outcome of one clause on one series, and its details. ``series``: empty for a clause about the process."""

    name: str
    series: str
    mark: Mark
    says: str
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ContractReport:
    """The outcome of all clauses for one version of one model.

    outputs: what it declares or has returned; devices: on which it ran.
    """

    model: ModelDescription
    clauses: tuple[Clause, ...]
    outputs: tuple[ModelOutput, ...] = ()
    devices: tuple[str, ...] = ()
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def failed(self) -> bool:
        """True if a clause was broken; the command line then exits with status 1."""
        return any(clause.mark is Mark.FAILED for clause in self.clauses)

    @property
    def seconds(self) -> float:
        """Total duration of all clauses."""
        return sum(clause.seconds for clause in self.clauses)

    def to_json(self) -> dict[str, object]:
        """Return the report as JSON values."""
        model = self.model
        return {
            "model": model.name,
            "version": model.version,
            "digest": model.digest,
            "runtime": model.runtime,
            "contract": model.contract,
            "passed": not self.failed,
            "checks": [
                {
                    "name": clause.name,
                    "series": clause.series or None,
                    "outcome": clause.mark.value,
                    "says": clause.says,
                    "seconds": round(clause.seconds, 3),
                }
                for clause in self.clauses
            ],
        }


def check_clause(name: str, series: str, examine: Callable[[], str]) -> Clause:
    """Return the outcome of a clause; ``examine`` returns the details if the model keeps it.

    If the model refuses the input, the clause does not apply. Errors of model or host fail the clause.
    """
    start = time.perf_counter()
    try:
        mark, says = Mark.PASSED, examine()
    except Inapplicable as reason:
        mark, says = Mark.NOT_APPLICABLE, str(reason)
    except UnsupportedInput as refusal:
        mark, says = Mark.NOT_APPLICABLE, f"refused: {refusal.reason}"
    except NotApplicable as refusal:
        mark, says = Mark.NOT_APPLICABLE, f"the model says that it does not apply: {refusal}"
    except (Broken, OrchestratorError) as fault:
        mark, says = Mark.FAILED, str(fault)
    return Clause(name, series, mark, says, time.perf_counter() - start)
