"""Coded concepts that only the objects need; own ones under 99ORCH."""

from __future__ import annotations

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code as PydicomCode

from orchestrator.dicom.provenance import OWN_SCHEME
from orchestrator.domain import concepts
from orchestrator.domain.code import Code
from orchestrator.domain.result import Presence, Urgency


def coded(code: Code) -> PydicomCode:
    """Return a concept of the domain as pydicom and highdicom know it."""
    return PydicomCode(code.value, code.scheme, code.meaning)


def unit(text: str) -> PydicomCode:
    """Return a UCUM unit; its own text is its meaning."""
    return PydicomCode(text, "UCUM", "no units" if text == "1" else text)


def _own(value: str, meaning: str) -> PydicomCode:
    return PydicomCode(value, OWN_SCHEME, meaning)


UNPLACED_TITLE = _own("ai-result", "AI analysis result, unverified")
STATEMENT = _own("statement", "Statement")
IMAGES_READ = _own("images-read", "Images read by the model")
NOTHING_FOUND = _own("nothing-found", "Nothing found by the model")
SCORE = _own("score", "Model score, not a probability")
REGION_SCORE = _own("region-score", "Score of this place, not a probability")
ACTIONABLE = _own("actionable", "Actionable finding category")
METHOD_TEXT = _own("method", "Method as text")
ENGLISH = PydicomCode("en-US", "RFC5646", "English (United States)")
LATERALITY = PydicomCode("272741003", "SCT", "Laterality")

CERTAINTY = codes.DCM.CertaintyOfFinding
NO_UNITS = unit("1")
PERCENT = unit("%")
MILLILITRE = unit("ml")
SQUARE_MILLIMETRE = unit("mm2")

PRESENCE = {
    Presence.PRESENT: coded(concepts.PRESENT),
    Presence.ABSENT: coded(concepts.ABSENT),
    Presence.UNDETERMINED: coded(concepts.UNDETERMINED),
}
"""CID 240."""

URGENCY = {
    Urgency.IMMEDIATE: codes.cid7035.ACRCategory1ActionableFinding,
    Urgency.URGENT: codes.cid7035.ACRCategory2ActionableFinding,
    Urgency.NON_URGENT: codes.cid7035.ACRCategory3ActionableFinding,
}
"""CID 7035."""
