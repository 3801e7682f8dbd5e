"""Puts the most urgent finding first: nobody must read past another finding to see it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from orchestrator.domain.result import Finding, Presence, Urgency

_LEVELS = tuple(Urgency)
WITHOUT_URGENCY = len(_LEVELS)
"""Rank of what is there and has no urgency."""


def urgency_rank(finding: Finding) -> int:
    """Return 0 for the most urgent findings; those without urgency come after all others, absent ones last."""
    return _rank(finding.presence, finding.urgency)


def entry_rank(entry: Mapping[str, object]) -> int:
    """Return the rank of a finding as the ledger stores it; see ``urgency_rank``."""
    urgency = entry.get("urgency")
    return _rank(entry.get("value"), None if urgency is None else Urgency(str(urgency)))


def urgency_of(findings: Iterable[Mapping[str, object]]) -> Urgency | None:
    """Return the highest urgency of all findings that are not absent, None where there is none."""
    rank = min(map(entry_rank, findings), default=len(_LEVELS))
    return _LEVELS[rank] if rank < len(_LEVELS) else None


def _rank(presence: object, urgency: Urgency | None) -> int:
    if presence == Presence.ABSENT:
        return WITHOUT_URGENCY + 1
    return WITHOUT_URGENCY if urgency is None else _LEVELS.index(urgency)
