"""DICOM files in and out: series to volumes, results to SEG and SR. Loaded on first use: highdicom is slow to import."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.dicom.grid import FrameReference, Grid, plan
    from orchestrator.dicom.header import read_instance
    from orchestrator.dicom.pixels import fill
    from orchestrator.dicom.series import (
        check_intended,
        expected_count,
        gap_free,
        gather,
        is_image,
        machine_written,
    )

_PLACES = {
    "FrameReference": "grid",
    "Grid": "grid",
    "LegendEntry": "overlay",
    "Overlay": "overlay",
    "Summary": "sr",
    "WriteOptions": "write",
    "attest": "review",
    "check_intended": "series",
    "expected_count": "series",
    "fill": "pixels",
    "gap_free": "series",
    "gather": "series",
    "is_image": "series",
    "machine_written": "series",
    "plan": "grid",
    "read_instance": "header",
    "reject": "review",
    "summarize": "sr",
    "write": "write",
}

__all__ = sorted(_PLACES)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
