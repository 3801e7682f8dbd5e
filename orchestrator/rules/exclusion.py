"""Excludes series that no rule may match: series without images, and results of AI, so that no AI reads an AI."""

from __future__ import annotations

from orchestrator.domain.series import Headers
from orchestrator.rules.conditions import values_of

_MODALITIES_WITHOUT_IMAGES = {
    "ANN": "annotations",
    "ASMT": "an assessment",
    "FID": "fiducials",
    "KO": "a key object selection",
    "PR": "a presentation state",
    "REG": "a registration",
    "RTSTRUCT": "outlines",
    "RWV": "a real world value mapping",
    "SEG": "a segmentation",
    "SR": "a structured report",
}
_STORAGE = "1.2.840.10008.5.1.4.1.1."
_CLASSES_WITHOUT_IMAGES = {
    "11.": "a presentation state",
    "66.": "a segmentation or registration",
    "67": "a real world value mapping",
    "88.": "a structured report or key object selection",
    "90.": "an assessment",
    "91.": "annotations",
    "481.3": "outlines",
}


def find_exclusion(facts: Headers) -> str:
    """Return a sentence that says why no rule may match the series, empty where one may."""
    if values_of(facts, "InstanceCount") == (0,):
        return "No file of the series can be read. The events say why (file-unreadable)."
    for modality in values_of(facts, "Modality"):
        if content := _MODALITIES_WITHOUT_IMAGES.get(str(modality).strip().upper()):
            return _sentence(content)
    for uid in values_of(facts, "SOPClassUID"):
        for ending, content in _CLASSES_WITHOUT_IMAGES.items():
            if _is_in_family(str(uid).strip(), _STORAGE + ending):
                return _sentence(content)
    if "yes" in values_of(facts, "MachineWritten"):
        return "This host or another AI wrote these objects, or they are no images. Rules apply to images only."
    return ""


def _is_in_family(uid: str, family: str) -> bool:
    return uid.startswith(family) if family.endswith(".") else uid == family


def _sentence(content: str) -> str:
    return f"The series holds {content}, not images. Rules apply to images only."
