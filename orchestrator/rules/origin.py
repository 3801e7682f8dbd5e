"""Which series no rule may match, whatever it says: a model must never feed on what a model wrote."""

from __future__ import annotations

from orchestrator.domain.series import Headers
from orchestrator.rules.conditions import values_of

_NO_IMAGES = {
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
_NO_IMAGE_CLASSES = {
    "11.": "a presentation state",
    "66.": "a segmentation or registration",
    "67": "a real world value mapping",
    "88.": "a structured report or key object selection",
    "90.": "an assessment",
    "91.": "annotations",
    "481.3": "outlines",
}


def refusal(facts: Headers) -> str:
    """Return in one sentence why no rule may match the series, empty where one may."""
    for modality in values_of(facts, "Modality"):
        if str(modality).strip().upper() in _NO_IMAGES:
            return _no_images(_NO_IMAGES[str(modality).strip().upper()])
    for uid in values_of(facts, "SOPClassUID"):
        for ending, what in _NO_IMAGE_CLASSES.items():
            if _is_in_family(str(uid).strip(), _STORAGE + ending):
                return _no_images(what)
    if "yes" in values_of(facts, "MachineWritten"):
        return (
            "This host or another AI wrote these objects, or they are no images; "
            "no rule matches them, so that no model feeds on a model."
        )
    return ""


def _is_in_family(uid: str, family: str) -> bool:
    return uid.startswith(family) if family.endswith(".") else uid == family


def _no_images(what: str) -> str:
    return f"The series holds {what}, no images; no rule matches it."
