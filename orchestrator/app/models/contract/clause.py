"""The contract, clause by clause, and how a model kept it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from orchestrator.app.models.contract.given import Given
from orchestrator.domain.errors import NotApplicable, OrchestratorError, UnsupportedInput
from orchestrator.domain.model import ModelDescription


class Mark(StrEnum):
    """How a clause came out."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not applicable"


class Broken(Exception):
    """The model broke a clause; the message says what differs and what to do."""


class Inapplicable(Exception):
    """A clause says nothing about this model or this series; the message says why."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause on one series, how it came out and what there is to say. ``series``: empty for the model as such."""

    name: str
    series: str
    mark: Mark
    says: str
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """All that was found about one version of one model.

    gives: what it declares to give and was seen to give; devices: what it ran on.
    """

    model: ModelDescription
    clauses: tuple[Clause, ...]
    gives: tuple[Given, ...] = ()
    devices: tuple[str, ...] = ()
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def failed(self) -> bool:
        """True where a clause was broken: the command line then exits with status 1."""
        return any(clause.mark is Mark.FAILED for clause in self.clauses)

    @property
    def seconds(self) -> float:
        """How long all clauses took."""
        return sum(clause.seconds for clause in self.clauses)

    def to_json(self) -> dict[str, object]:
        """Return the report in JSON values."""
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


def judged(name: str, series: str, examine: Callable[[], str]) -> Clause:
    """Return how a clause came out; ``examine`` returns what there is to say where the model keeps it.

    A refusal is an answer, not a fault: the clause does not apply then. What a model or the host raises
    on purpose fails the clause with its own words.
    """
    started = time.perf_counter()
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
    return Clause(name, series, mark, says, time.perf_counter() - started)
