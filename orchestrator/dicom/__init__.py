"""DICOM files in and out: series to volumes, results to SEG and SR.

Names are loaded on first use: reading must not wait for highdicom, which writing needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.dicom.correction import readdress as readdress
    from orchestrator.dicom.form import Syntax as Syntax
    from orchestrator.dicom.form import WriteOptions as WriteOptions
    from orchestrator.dicom.grid import FrameReference as FrameReference
    from orchestrator.dicom.grid import Grid as Grid
    from orchestrator.dicom.grid import plan as plan
    from orchestrator.dicom.header import read_instance as read_instance
    from orchestrator.dicom.identity import identity_of as identity_of
    from orchestrator.dicom.objects import prewarm as prewarm
    from orchestrator.dicom.objects import write as write
    from orchestrator.dicom.overlay import LegendEntry as LegendEntry
    from orchestrator.dicom.overlay import Overlay as Overlay
    from orchestrator.dicom.pixels import fill as fill
    from orchestrator.dicom.rejection import reject as reject
    from orchestrator.dicom.rejection import withdraw as withdraw
    from orchestrator.dicom.review import attest as attest
    from orchestrator.dicom.series import check_intended as check_intended
    from orchestrator.dicom.series import expected_count as expected_count
    from orchestrator.dicom.series import gap_free as gap_free
    from orchestrator.dicom.series import gather as gather
    from orchestrator.dicom.series import is_image as is_image
    from orchestrator.dicom.series import machine_written as machine_written
    from orchestrator.dicom.series import may_be_image as may_be_image
    from orchestrator.dicom.stated import parameters as parameters
    from orchestrator.dicom.summary import Summary as Summary
    from orchestrator.dicom.summary import summarize as summarize
    from orchestrator.dicom.verdict import Statement as Statement
    from orchestrator.dicom.verdict import read_statement as read_statement
    from orchestrator.dicom.verdict import states as states
    from orchestrator.dicom.verdict_agreement import agreement_between as agreement_between
    from orchestrator.dicom.verdict_changes import Changes as Changes
    from orchestrator.dicom.verdict_changes import corrections as corrections

_READING = {
    "FrameReference": "grid",
    "Grid": "grid",
    "check_intended": "series",
    "expected_count": "series",
    "fill": "pixels",
    "gap_free": "series",
    "gather": "series",
    "is_image": "series",
    "may_be_image": "series",
    "machine_written": "series",
    "plan": "grid",
    "read_instance": "header",
}
_WRITING = {
    "Changes": "verdict_changes",
    "LegendEntry": "overlay",
    "Overlay": "overlay",
    "Statement": "verdict",
    "parameters": "stated",
    "Summary": "summary",
    "Syntax": "form",
    "WriteOptions": "form",
    "agreement_between": "verdict_agreement",
    "attest": "review",
    "corrections": "verdict_changes",
    "identity_of": "identity",
    "prewarm": "objects",
    "keep_extra": "extra",
    "read_statement": "verdict",
    "states": "verdict",
    "readdress": "correction",
    "reject": "rejection",
    "summarize": "summary",
    "withdraw": "rejection",
    "write": "objects",
}
_PLACES = _READING | _WRITING

__all__ = sorted(_PLACES)


def __getattr__(name: str) -> Any:
    """Return a public name from its module (PEP 562)."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    globals()[name] = value  # a function may be called like its module: the function stays
    return value
