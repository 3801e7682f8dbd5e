"""Write options of destinations: which objects of a result they get, and in which encoding."""

from __future__ import annotations

from orchestrator.config import DestinationSettings, Settings
from orchestrator.dicom import Syntax, WriteOptions
from orchestrator.dicom.objects.write_options import WORDS


def options_of(settings: Settings) -> dict[str, WriteOptions]:
    """Return the write options of each destination, by name."""
    return {item.name: write_options(item) for item in settings.destinations}


def write_options(item: DestinationSettings) -> WriteOptions:
    """Return the write options of a destination."""
    return WriteOptions(
        label_map=item.seg == "labelmap",
        comprehensive_3d=item.sr == "comprehensive-3d",
        syntax=Syntax(item.transfer_syntax),
        objects=frozenset(WORDS[word] for word in item.objects),
    )
