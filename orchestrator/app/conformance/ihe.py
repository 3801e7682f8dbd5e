"""The IHE Integration Statement: only what the program does, and what it does not."""

from __future__ import annotations

import orchestrator
from orchestrator.app.conformance.layout import name_of, page, table
from orchestrator.config import Settings
from orchestrator.dicom.objects.provenance import HOST
from orchestrator.dicom.objects.write_options import every_class
from orchestrator.dicom.review.statement import REJECTIONS

_HEAD = f"""# IHE Integration Statement

{HOST} {{version}}, a self-declaration: no part of it was tested at a Connectathon. Made by the program itself
(`orchestrator conformance --ihe`). The DICOM side is in the [DICOM Conformance Statement](conformance-statement.md).
"""
_WHAT = {
    "Evidence Creator of AI Results (AIR)": (
        "creates and stores qualitative findings, measurements, locations, regions, parametric maps, tracking "
        "identifiers, image references; negative, undetermined and failed told apart",
        "the root of AIR where a result has no place in an image: the report then has a local title; beside findings "
        "with a place, those without one stand under Qualitative Evaluations, numbers of the series under Derived "
        "Imaging Measurements",
    ),
    "Change Requester of Imaging Object Change Management (IOCM)": (
        "stores rejection notes for results of its own that were superseded or retracted; asks for no deletion",
        "rejection of images of others; notes for results that a reader rejected on the pages",
    ),
}
_NOT = (
    (
        "Scheduled Workflow (SWF.b)",
        "neither Modality Worklist nor performed procedure steps; objects go into the study of the images",
    ),
    ("AI Workflow for Imaging (AIW-I)", "no UPS: models are started by rules on what arrives"),
    ("Image Manager/Archive", "objects are kept until they are worked off only"),
    ("Image Display of AIR", "the pages show results of this host; they are no display for those of others"),
    ("Audit Trail and Node Authentication (ATNA)", "TLS with certificates, but no audit messages"),
    ("Consistent Time (CT)", "the clock is that of the machine"),
    (
        "Patient Information Reconciliation (PIR)",
        "no HL7; the archive is asked for patient and study before each delivery",
    ),
)


def ihe_statement(settings: Settings) -> str:
    """Return the statement as Markdown."""
    trusted = [item.name for item in settings.archives if item.verdicts]
    trusted += [item.ae_title for item in settings.senders if item.verdicts]
    titles = ", ".join(f"{meaning} ({value}, DCM)" for value, meaning in REJECTIONS.items())
    return page(
        _HEAD.format(version=orchestrator.__version__),
        "## What is supported",
        table(
            ["actor and profile", "supported", "not supported"],
            [(actor, does, does_not) for actor, (does, does_not) in _WHAT.items()],
        ),
        "Objects that are stored: " + ", ".join(sorted(map(name_of, every_class()))) + ".",
        "## Rejection notes and verified reports of others",
        f"Read as verdicts on results of this host: rejection notes with the title {titles}; verified reports; edited "
        "segmentations. Only from sources that the settings trust: "
        f"{', '.join(trusted) or 'none by these settings'}. Nothing is hidden or deleted because of them.",
        "## What is not claimed",
        table(["profile or actor", "why"], _NOT),
    )
