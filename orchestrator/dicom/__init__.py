"""Reads series into volumes, writes results as SEG and SR, reads and writes documents of reviews.

Public names are imported on first use, so that reading does not wait for highdicom, which only writing needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.dicom.headers.header import read_instance as read_instance
    from orchestrator.dicom.headers.header import unreadable_instance as unreadable_instance
    from orchestrator.dicom.headers.patient import patient_difference as patient_difference
    from orchestrator.dicom.objects.identity import identity_of as identity_of
    from orchestrator.dicom.objects.write_options import Syntax as Syntax
    from orchestrator.dicom.objects.write_options import WriteOptions as WriteOptions
    from orchestrator.dicom.read.contents import newest_content as newest_content
    from orchestrator.dicom.read.contents import one_per_uid as one_per_uid
    from orchestrator.dicom.read.grid import FrameReference as FrameReference
    from orchestrator.dicom.read.grid import Grid as Grid
    from orchestrator.dicom.read.grid import plan as plan
    from orchestrator.dicom.read.kinds import is_image as is_image
    from orchestrator.dicom.read.kinds import machine_written as machine_written
    from orchestrator.dicom.read.kinds import may_be_image as may_be_image
    from orchestrator.dicom.read.pixels import fill as fill
    from orchestrator.dicom.read.series import check_intended as check_intended
    from orchestrator.dicom.read.series import expected_count as expected_count
    from orchestrator.dicom.read.series import gap_free as gap_free
    from orchestrator.dicom.read.series import gather as gather
    from orchestrator.dicom.review.agreement import agreement_between as agreement_between
    from orchestrator.dicom.review.attestation import attest as attest
    from orchestrator.dicom.review.changes import Changes as Changes
    from orchestrator.dicom.review.changes import corrections as corrections
    from orchestrator.dicom.review.rejection import reject as reject
    from orchestrator.dicom.review.rejection import withdraw as withdraw
    from orchestrator.dicom.review.statement import Statement as Statement
    from orchestrator.dicom.review.statement import read_statement as read_statement
    from orchestrator.dicom.review.statement import states as states
    from orchestrator.dicom.view.overlay import LegendEntry as LegendEntry
    from orchestrator.dicom.view.overlay import Overlay as Overlay
    from orchestrator.dicom.view.parameters import parameters as parameters
    from orchestrator.dicom.view.summary import Summary as Summary
    from orchestrator.dicom.view.summary import summarize as summarize
    from orchestrator.dicom.write.readdress import readdress as readdress
    from orchestrator.dicom.write.write import prewarm as prewarm
    from orchestrator.dicom.write.write import write_objects as write_objects

_READING = {
    "FrameReference": "read.grid",
    "Grid": "read.grid",
    "check_intended": "read.series",
    "expected_count": "read.series",
    "fill": "read.pixels",
    "gap_free": "read.series",
    "gather": "read.series",
    "is_image": "read.kinds",
    "may_be_image": "read.kinds",
    "machine_written": "read.kinds",
    "newest_content": "read.contents",
    "one_per_uid": "read.contents",
    "patient_difference": "headers.patient",
    "plan": "read.grid",
    "read_instance": "headers.header",
    "unreadable_instance": "headers.header",
}
_WRITING = {
    "Changes": "review.changes",
    "LegendEntry": "view.overlay",
    "Overlay": "view.overlay",
    "Statement": "review.statement",
    "parameters": "view.parameters",
    "Summary": "view.summary",
    "Syntax": "objects.write_options",
    "WriteOptions": "objects.write_options",
    "agreement_between": "review.agreement",
    "attest": "review.attestation",
    "corrections": "review.changes",
    "identity_of": "objects.identity",
    "prewarm": "write.write",
    "store_plugin_objects": "write.plugin_objects",
    "read_statement": "review.statement",
    "states": "review.statement",
    "readdress": "write.readdress",
    "reject": "review.rejection",
    "summarize": "view.summary",
    "withdraw": "review.rejection",
    "write_objects": "write.write",
}
_PLACES = _READING | _WRITING

__all__ = sorted(_PLACES)


def __getattr__(name: str) -> Any:
    """Return a public name from its module (PEP 562)."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    globals()[name] = value  # a function may have the name of its module: the function wins
    return value
