"""The content of the objects that this host writes (PS3.2: information object definitions, coded terms)."""

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
    ("Patient and General Study modules", "copied from the source images, or from the archive if it changed them"),
    ("SeriesInstanceUID, SOPInstanceUID", "2.25. and a UUID of version 5 over job and content; the same in each retry"),
    (
        "SeriesDescription",
        "begins with `AI UNVERIFIED`, then model, side and view of the images (`R MLO`), kind of the object;"
        " of a rejection note: `Rejected`, `Superseded` or `Retracted AI result`",
    ),
    ("SpecificCharacterSet", f"`{CHARACTER_SET}`"),
    ("ContentQualification", "the more cautious one of model and source; `RESEARCH` if neither states one"),
    ("Manufacturer, ManufacturerModelName", "those of the model"),
    ("SoftwareVersions", f"version of the model; `{HOST}` with its version"),
    ("DeviceSerialNumber", "sha256 of the model"),
    ("ContributingEquipmentSequence", f"(109102, DCM, Processing Equipment), `{UNVERIFIED}`"),
    ("Private elements", "none"),
)
_KINDS = (
    (
        "Comprehensive 3D SR, Comprehensive SR",
        "TID 1500 with TID 1410, 1411, 1501, 4019. Findings and measurements with a place: Imaging Measurements "
        "(126010, DCM). Findings on whole images: Qualitative Evaluations (C0034375, UMLS). Numbers of the series: "
        "Derived Imaging Measurements (126011, DCM). If nothing has a place: a root with the local title "
        f"(ai-result, {OWN_SCHEME}) without a template. CompletionFlag `COMPLETE`, VerificationFlag `UNVERIFIED`, "
        "PreliminaryFlag `PRELIMINARY`. The observer is a device (TID 1004). PredecessorDocumentsSequence names the "
        "replaced report of an earlier revision or model version",
    ),
    (
        "Segmentation, Label Map Segmentation",
        "BINARY or LABELMAP on the grid of the source, SegmentAlgorithmType `AUTOMATIC`, the tracking UIDs of the SR",
    ),
    ("Parametric Map", "float values on the grid of the source, if a model returns a heat map"),
    (
        "Key Object Selection",
        "TID 2010. Of Interest (113000, DCM): the images that show a finding. Rejection notes for results of this "
        f"host: Rejected for Quality Reasons (113001, DCM) with (superseded, {OWN_SCHEME}); Rejected for Patient "
        "Safety Reasons (113037, DCM) if a model version was retracted",
    ),
    ("Secondary Capture", "the images that show the findings best, with outlines and a banner in the pixels"),
    ("Grayscale Softcopy Presentation State", "outlines as graphic annotations of the source images"),
)


def objects() -> str:
    """Return the written SOP classes, the attributes of all objects and the content of each kind."""
    return page(
        uids(every_class()),
        "The settings `objects`, `seg` and `sr` choose which of them a destination gets.",
        "### Attributes of every object",
        table(["attribute", "value"], _EVERY_OBJECT),
        "### Content of each kind",
        table(["object", "content"], _KINDS),
    )


def coded_terms() -> str:
    """Return the local codes and the titles of rejection notes that count as verdicts."""
    rows = sorted({(code.value, code.meaning) for code in _own_codes((concepts, rejection))})
    return page(
        f"Local codes, coding scheme `{OWN_SCHEME}` (Concepts of {HOST}). Each object that uses one names the scheme "
        "in its CodingSchemeIdentificationSequence:",
        table(["code value", "code meaning"], rows),
        "All other codes are from DCM, SCT and UCUM. Models may use further coding schemes.",
        "Titles of key object selections that count as a verdict, if a trusted source sent them about a result:",
        table(["code value (DCM)", "code meaning"], REJECTIONS.items()),
    )


def _own_codes(modules: Iterable[object]) -> Iterator[Code]:
    for module in modules:
        for value in vars(module).values():
            for code in value.values() if isinstance(value, Mapping) else (value,):
                if isinstance(code, Code) and code.scheme_designator == OWN_SCHEME:
                    yield code
