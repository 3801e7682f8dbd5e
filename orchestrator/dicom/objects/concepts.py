"""Coded concepts of the written objects; local ones have the coding scheme 99ORCH."""

from __future__ import annotations

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code as PydicomCode

from orchestrator.dicom.objects.provenance import OWN_SCHEME
from orchestrator.domain import concepts
from orchestrator.domain.code import Code
from orchestrator.domain.result import Presence, Urgency


def coded(code: Code) -> PydicomCode:
    """Return a concept of the domain as a pydicom Code, which highdicom accepts."""
    return PydicomCode(code.value, code.scheme, code.meaning)


def unit(text: str) -> PydicomCode:
    """Return a UCUM unit; its code is also its meaning."""
    return PydicomCode(text, "UCUM", "no units" if text == "1" else text)


def own_code(value: str, meaning: str) -> PydicomCode:
    """Return a local concept (99ORCH)."""
    return PydicomCode(value, OWN_SCHEME, meaning)


UNPLACED_TITLE = own_code("ai-result", "AI analysis result, unverified")
STATEMENT = own_code("statement", "Statement")
IMAGES_READ = own_code("images-read", "Images read by the model")
NOTHING_FOUND = own_code("nothing-found", "Nothing found by the model")
MAP = own_code("map", "Map made by the model")
SCORE = own_code("score", "Model score, not a probability")
REGION_SCORE = own_code("region-score", "Score of this place, not a probability")
IMAGE_SCORE = own_code("image-score", "Score of this image, not a probability")
ACTIONABLE = own_code("actionable", "Actionable finding category")
METHOD_TEXT = own_code("method", "Method as text")
ENGLISH = PydicomCode("en-US", "RFC5646", "English (United States)")
LATERALITY = PydicomCode("272741003", "SCT", "Laterality")

QUALITATIVE_EVALUATIONS = PydicomCode("C0034375", "UMLS", "Qualitative Evaluations")
"""Container of TID 1500 for qualitative evaluations."""

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
"""Presence of a finding (CID 240)."""

URGENCY = {
    Urgency.IMMEDIATE: codes.cid7035.ACRCategory1ActionableFinding,
    Urgency.URGENT: codes.cid7035.ACRCategory2ActionableFinding,
    Urgency.NON_URGENT: codes.cid7035.ACRCategory3ActionableFinding,
}
"""Actionable finding categories (CID 7035)."""
