"""How long a series must be silent before it counts as complete, by the way it came."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.config import Settings
from orchestrator.pipeline.intake import Received


def quiet_period(settings: Settings) -> Callable[[Received], float]:
    """Return what says the quiet period in seconds: of the archive, else of the AE title, else of the receiver."""
    archives = {item.name: item.quiet_seconds for item in settings.archives if item.quiet_seconds is not None}
    titles = {item.ae_title: item.quiet_seconds for item in settings.entities if item.quiet_seconds is not None}

    def seconds(way: Received) -> float:
        return archives.get(way.source, titles.get(way.called, settings.receiver.quiet_seconds))

    return seconds
