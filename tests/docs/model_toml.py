"""The tables of docs/reference/model-toml.md and the schema beside it, made from the manifest itself.

``python -m tests.docs.model_toml`` writes both.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from orchestrator.worker.manifest.reference import manifest_schema, tables

REFERENCE = Path(__file__).parents[2] / "docs/reference"
PAGE = REFERENCE / "model-toml.md"
SCHEMA = REFERENCE / "model.schema.json"
_TABLE = re.compile(r"(<!-- keys of (\w+) -->\n)(?:\|.*\n)*")


def page() -> str:
    """Return the page with its tables made again."""
    made = tables()
    return _TABLE.sub(lambda found: f"{found[1]}{made[found[2]]}\n", PAGE.read_text(encoding="utf-8"))


def schema_text() -> str:
    """Return the schema as the file holds it."""
    return json.dumps(manifest_schema(), indent=2) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    SCHEMA.write_text(schema_text(), encoding="utf-8")
