"""When is a series complete? Models may start early on a hint; results leave only on a proof.

Pure bookkeeping: it is told what arrives and what time it is, and says what is due. It never looks at
a clock, a file or a database, so every order of events can be tested.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from orchestrator.domain.series import Instance

_EARLIER = "(before this process)"


class Step(StrEnum):
    """What may happen now with a revision of a series."""

    START = "start"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class Due:
    """A step that is due for these instances and, in words for the record, why."""

    series_uid: str
    step: Step
    reason: str
    instances: tuple[Instance, ...]


@dataclass(slots=True)
class _Pending:
    """What is in hand of one series.

    paths: every file that arrived; one content may lie under several.
    hint: all came by one association, it was released, and its sender has no other open.
    broken: an association that brought instances was aborted.
    announced: how many there are in all, and who says so.
    proof: an explicit signal that nothing is missing, in words; None = not looked for since the last arrival.
    """

    quiet_seconds: float
    last_arrival: float
    instances: dict[str, Instance] = field(default_factory=dict)
    paths: set[Path] = field(default_factory=set)
    associations: set[str] = field(default_factory=set)
    sender: str = ""
    started: bool = False
    hint: bool = False
    broken: bool = False
    announced: tuple[int, str] | None = None
    proof: str | None = None


class Completion:
    """Decides per series when its models start and when its results are released.

    gap_free: whether instances form a gap-free geometry (half a chest is gap-free too: only a hint).
    expected_count: how many instances the headers announce, None where they do not.
    """

    def __init__(
        self,
        *,
        gap_free: Callable[[Collection[Instance]], bool],
        expected_count: Callable[[Collection[Instance]], int | None],
    ) -> None:
        self._gap_free = gap_free
        self._expected_count = expected_count
        self._pending: dict[str, _Pending] = {}

    def __contains__(self, series_uid: str) -> bool:
        return series_uid in self._pending

    def paths(self, series_uid: str) -> frozenset[Path]:
        """Return every file of a series that arrived, re-sends too; none where the series is not in hand."""
        pending = self._pending.get(series_uid)
        return frozenset(pending.paths) if pending else frozenset()

    def arrived(
        self, instance: Instance, *, now: float, quiet_seconds: float, association: str = "", sender: str = ""
    ) -> bool:
        """Note an instance; return True where it opens a new revision of a series already started.

        A plain re-send (same UID, same digest) of what is in hand only prolongs the quiet period.
        quiet_seconds: of the way by which this one came; the newest counts.
        """
        pending = self._pending.setdefault(instance.series_uid, _Pending(quiet_seconds, now))
        pending.last_arrival = now
        pending.quiet_seconds = quiet_seconds
        pending.paths.add(instance.path)
        pending.associations.add(association)
        pending.sender = sender
        known = pending.instances.get(instance.sop_uid)
        if known is not None and known.digest == instance.digest:
            return False
        pending.instances[instance.sop_uid] = instance
        pending.hint = False
        pending.proof = None
        reopened, pending.started = pending.started, False
        return reopened

    def resumed(
        self, instances: Collection[Instance], *, started: bool, last_arrival: float, quiet_seconds: float
    ) -> None:
        """Take up a series that an earlier process, or an earlier revision, had in hand."""
        for instance in instances:
            self.arrived(instance, now=last_arrival, quiet_seconds=quiet_seconds, association=_EARLIER)
        for series_uid in {instance.series_uid for instance in instances}:
            self._pending[series_uid].started = started

    def closed(self, association: str, *, released: bool, sender: str, others_open: int) -> None:
        """Note the end of an association; an abort, or a sister still open, is no hint that all came."""
        for pending in self._pending.values():
            if association in pending.associations:
                pending.broken |= not released
            if pending.sender == sender and (sender or association in pending.associations):  # a fetch has no sender
                alone = len(pending.associations) == 1
                pending.hint = alone and not pending.broken and others_open == 0

    def announced(self, series_uid: str, count: int, reason: str) -> None:
        """Note that somebody outside the images said how many there are in all, and who, in words.

        It proves nothing while fewer are in hand, and nothing of a series that is not in hand.
        """
        pending = self._pending.get(series_uid)
        if pending is not None:
            pending.announced = (count, reason)
            pending.proof = None

    def due(self, now: float) -> list[Due]:
        """Return the steps due at this time; they stay due until ``done`` is told."""
        return [due for series_uid, pending in self._pending.items() for due in self._due_of(series_uid, pending, now)]

    def done(self, due: Due) -> None:
        """Note that a step was taken; a series whose results are released is let go."""
        if due.step is Step.RELEASE:
            del self._pending[due.series_uid]
        else:
            self._pending[due.series_uid].started = True

    def _due_of(self, series_uid: str, pending: _Pending, now: float) -> Iterable[Due]:
        instances = tuple(pending.instances.values())
        if pending.proof is None:
            pending.proof = self._announced(instances) or _told(pending)
        reason = pending.proof or self._quiet(pending, now)
        if not pending.started and (reason or (pending.hint and self._gap_free(instances))):
            yield Due(series_uid, Step.START, reason or "gap-free images by one released association", instances)
        if reason:
            yield Due(series_uid, Step.RELEASE, reason, instances)

    def _announced(self, instances: Collection[Instance]) -> str:
        if self._expected_count(instances) != len(instances):
            return ""
        return f"all {len(instances)} announced images arrived"

    @staticmethod
    def _quiet(pending: _Pending, now: float) -> str:
        if now < pending.last_arrival + pending.quiet_seconds:
            return ""
        return f"no further image for {pending.quiet_seconds:g} s"


def _told(pending: _Pending) -> str:
    """Return who said that these are all; empty where nobody did, or where more or fewer came."""
    count, reason = pending.announced or (0, "")
    return f"{reason}: all {count} images arrived" if count == len(pending.instances) else ""
