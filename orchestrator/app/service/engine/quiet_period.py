"""How long no image must come before a series counts as complete."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.archive import Arrival
from orchestrator.config import Settings


def quiet_period(settings: Settings) -> Callable[[Arrival], float]:
    """Return a function of the quiet period in seconds: of the archive, else of the AE title, else of the receiver."""
    archives = {item.name: item.quiet_seconds for item in settings.archives if item.quiet_seconds is not None}
    titles = {item.ae_title: item.quiet_seconds for item in settings.entities if item.quiet_seconds is not None}

    def seconds(arrival: Arrival) -> float:
        return archives.get(arrival.source, titles.get(arrival.called, settings.receiver.quiet_seconds))

    return seconds
