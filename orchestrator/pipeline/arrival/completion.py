"""Decides when a series is complete: models may start on a hint, results are released only on a proof.

Pure functions: they read no clock, file or database, so every order of events can be tested.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.domain.series import Instance
from orchestrator.pipeline.arrival.pending_series import PendingSeries


class Step(StrEnum):
    """What may happen to a series."""

    START = "start"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class Due:
    """A step that is due. reason: why, for the record."""

    step: Step
    reason: str


@dataclass(frozen=True, slots=True)
class Checks:
    """What the headers of a series say.

    gap_free: whether the instances form a gap-free geometry. Half a chest is gap-free too, so this is only a hint.
    expected_count: how many instances the headers announce, None where they do not.
    """

    gap_free: Callable[[Collection[Instance]], bool]
    expected_count: Callable[[Collection[Instance]], int | None]


def due_steps(series: PendingSeries, now: float, checks: Checks) -> list[Due]:
    """Return the steps that are due at this time, in order; they stay due until they are taken.

    The proof is kept in the series until the next file: the headers of many instances take long to check.
    """
    instances = tuple(series.instances.values())
    if series.proof is None:
        series.proof = find_proof(series, checks)
    reason = series.proof or _quiet_reason(series, now)
    steps = []
    if not series.started and (reason or (series.has_hint and checks.gap_free(instances))):
        steps.append(Due(Step.START, reason or "gap-free images by one released association"))
    if reason:
        steps.append(Due(Step.RELEASE, reason))
    return steps


def find_proof(series: PendingSeries, checks: Checks) -> str:
    """Return why no image is missing; empty where nothing proves that."""
    instances = tuple(series.instances.values())
    count = len(instances)
    if checks.expected_count(instances) == count:
        return f"all {count} announced images arrived"
    if series.announced is not None and series.announced.count == count:
        return f"{series.announced.reason}: all {count} images arrived"
    return ""


def _quiet_reason(series: PendingSeries, now: float) -> str:
    if now < series.last_arrival + series.quiet_seconds:
        return ""
    return f"no further image for {series.quiet_seconds:g} s"
