"""The statements that a site asks for, made from the program itself with the default settings.

``python -m tests.docs.statements`` writes conformance-statement.md and ihe-integration-statement.md in docs/reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from orchestrator.app.conformance import dicom_statement, ihe_statement
from orchestrator.config import Settings

REFERENCE = Path(__file__).parents[2] / "docs/reference"
PAGES: Mapping[str, Path] = {
    "dicom": REFERENCE / "conformance-statement.md",
    "ihe": REFERENCE / "ihe-integration-statement.md",
}


def statement(name: str) -> str:
    """Return the whole page."""
    return {"dicom": dicom_statement, "ihe": ihe_statement}[name](Settings())


if __name__ == "__main__":
    for name, page in PAGES.items():
        page.write_text(statement(name), encoding="utf-8")
