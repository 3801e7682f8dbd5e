"""The IHE Integration Statement: what the program supports and what it does not."""

from __future__ import annotations

import orchestrator
from orchestrator.app.conformance.layout import name_of, page, table
from orchestrator.config import Settings
from orchestrator.dicom.objects.provenance import HOST
from orchestrator.dicom.objects.write_options import every_class
from orchestrator.dicom.review.statement import REJECTIONS

_HEAD = f"""# IHE Integration Statement

{HOST} {{version}}. This is a self-declaration; no part was tested at a Connectathon. `orchestrator conformance --ihe`
prints it. See also the [DICOM Conformance Statement](conformance-statement.md).
"""
_WHAT = {
    "Evidence Creator of AI Results (AIR)": (
        "creates and stores qualitative findings, measurements, locations, regions, parametric maps, tracking "
        "identifiers, image references; distinguishes negative, undetermined and failed",
        "the root of AIR if a result has no place in an image: the report then has a local title; findings without a "
        "place are under Qualitative Evaluations, numbers of the series under Derived Imaging Measurements",
    ),
    "Change Requester of Imaging Object Change Management (IOCM)": (
        "stores rejection notes for its own superseded or retracted results; requests no deletion",
        "rejection of other systems' images; notes for results that a reader rejected on the pages",
    ),
}
_NOT = (
    (
        "Scheduled Workflow (SWF.b)",
        "no Modality Worklist, no performed procedure steps; objects are added to the study of the images",
    ),
    ("AI Workflow for Imaging (AIW-I)", "no UPS; rules start models on arriving series"),
    ("Image Manager/Archive", "the host keeps images only until they are processed"),
    ("Image Display of AIR", "the pages show results of this host only"),
    ("Audit Trail and Node Authentication (ATNA)", "TLS with certificates, but no audit messages"),
    ("Consistent Time (CT)", "the clock is that of the machine"),
    (
        "Patient Information Reconciliation (PIR)",
        "no HL7; the host queries patient and study in the archive before each delivery",
    ),
)


def ihe_statement(settings: Settings) -> str:
    """Return the statement as Markdown."""
    sources = [item.name for item in settings.archives if item.verdicts]
    sources += [item.ae_title for item in settings.senders if item.verdicts]
    titles = ", ".join(f"{meaning} ({value}, DCM)" for value, meaning in REJECTIONS.items())
    return page(
        _HEAD.format(version=orchestrator.__version__),
        "## What is supported",
        table(
            ["actor and profile", "supported", "not supported"],
            [(actor, does, does_not) for actor, (does, does_not) in _WHAT.items()],
        ),
        "Stored objects: " + ", ".join(sorted(map(name_of, every_class()))) + ".",
        "## Rejection notes and verified reports of other systems",
        f"These count as verdicts on results of this host: rejection notes with the title {titles}; verified reports; "
        "edited segmentations. They count only from trusted sources of the settings: "
        f"{', '.join(sources) or 'none in these settings'}. The host hides or deletes nothing because of them.",
        "## What is not claimed",
        table(["profile or actor", "why"], _NOT),
    )
