"""The tables of docs/reference/settings.md, made from the settings themselves.

``python -m tests.docs.settings`` writes them below the first part of the page, which people write.
"""

from __future__ import annotations

from pathlib import Path

from orchestrator.config.reference import reference

PAGE = Path(__file__).parents[2] / "docs/reference/settings.md"
FIRST_TABLE = "## `[receiver]`"


def page() -> str:
    """Return the page with its tables as the settings are now."""
    return PAGE.read_text(encoding="utf-8").partition(FIRST_TABLE)[0] + reference() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
