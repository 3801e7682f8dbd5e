"""What the objects that this host writes hold (PS3.2: information object definitions, coded terms)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from pydicom.sr.coding import Code

from orchestrator.app.conformance.layout import page, table, uids
from orchestrator.dicom.objects import concepts
from orchestrator.dicom.objects.identity import CHARACTER_SET
from orchestrator.dicom.objects.provenance import HOST, OWN_SCHEME, UNVERIFIED
from orchestrator.dicom.objects.write_options import every_class
from orchestrator.dicom.review import rejection
from orchestrator.dicom.review.statement import REJECTIONS

_EVERY_OBJECT = (
    ("Patient and General Study modules", "copied from the source images, or as the archive has them now"),
    ("SeriesInstanceUID, SOPInstanceUID", "2.25. and a UUID of version 5 over job and content: a retry sends the same"),
    (
        "SeriesDescription",
        "begins with `AI UNVERIFIED`; that of a note which rejects: `Rejected`, `Superseded` or `Retracted AI result`",
    ),
    ("SpecificCharacterSet", f"`{CHARACTER_SET}`"),
    ("ContentQualification", "the more cautious one of model and source; `RESEARCH` where neither states one"),
    ("Manufacturer, ManufacturerModelName", "those of the model"),
    ("SoftwareVersions", f"version of the model; `{HOST}` with its version"),
    ("DeviceSerialNumber", "sha256 of the model"),
    ("ContributingEquipmentSequence", f"(109102, DCM, Processing Equipment), `{UNVERIFIED}`"),
    ("Private elements", "none"),
)
_KINDS = (
    (
        "Comprehensive 3D SR, Comprehensive SR",
        "TID 1500 with TID 1410, 1411, 1501, 4019: what has a place under Imaging Measurements (126010, DCM), findings "
        "on the images as a whole under Qualitative Evaluations (C0034375, UMLS), numbers of the series under Derived "
        "Imaging Measurements (126011, DCM); or, where nothing has a place, a root of the local title "
        f"(ai-result, {OWN_SCHEME}) without a template. CompletionFlag `COMPLETE`, VerificationFlag `UNVERIFIED`, "
        "PreliminaryFlag `PRELIMINARY`; the observer is a device (TID 1004). PredecessorDocumentsSequence names the "
        "report of an earlier revision or model version that it follows",
    ),
    (
        "Segmentation, Label Map Segmentation",
        "BINARY or LABELMAP on the grid of the source, SegmentAlgorithmType `AUTOMATIC`, the tracking UIDs of the SR",
    ),
    ("Parametric Map", "float values on the grid of the source, where a model gives a heat map"),
    (
        "Key Object Selection",
        "TID 2010: Of Interest (113000, DCM) for the images that show a finding; rejection notes for results of its "
        f"own: Rejected for Quality Reasons (113001, DCM) with (superseded, {OWN_SCHEME}), Rejected for Patient Safety "
        "Reasons (113037, DCM) where a model version was retracted",
    ),
    ("Secondary Capture", "the best images with outlines and a banner in the pixels"),
    ("Grayscale Softcopy Presentation State", "outlines as graphic annotations of the source images"),
)


def objects() -> str:
    """Return what is written: SOP classes, what all objects carry, what each kind holds."""
    return page(
        uids(every_class()),
        "Which of them a destination gets is a setting (`objects`, `seg`, `sr`).",
        "### What every object carries",
        table(["attribute", "value"], _EVERY_OBJECT),
        "### What each kind holds",
        table(["object", "content"], _KINDS),
    )


def coded_terms() -> str:
    """Return the codes that the standard does not have, and the titles of rejection notes that are read."""
    rows = sorted({(code.value, code.meaning) for code in _own_codes((concepts, rejection))})
    return page(
        f"Local codes, coding scheme `{OWN_SCHEME}` (Concepts of {HOST}); each object that uses one names the scheme "
        "in its CodingSchemeIdentificationSequence:",
        table(["code value", "code meaning"], rows),
        "All other codes are of DCM, SCT and UCUM; models may bring codes of their own schemes.",
        "Titles of key object selections that count as a verdict, from a trusted source and where they name a result:",
        table(["code value (DCM)", "code meaning"], REJECTIONS.items()),
    )


def _own_codes(modules: Iterable[object]) -> Iterator[Code]:
    for module in modules:
        for value in vars(module).values():
            for code in value.values() if isinstance(value, Mapping) else (value,):
                if isinstance(code, Code) and code.scheme_designator == OWN_SCHEME:
                    yield code
