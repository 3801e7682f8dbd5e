"""Messages that a page explains are messages of the program."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, text_of

TABLES = ("docs/how-to/dimse-archive.md", "docs/how-to/http-archive.md", "docs/how-to/watch-an-archive.md")
MESSAGES = [
    (page, message)
    for page in TABLES
    for row in re.findall(r"^\| ((?:`|…).+?) \| .+ \|$", text_of(page), re.MULTILINE)
    for message in re.findall(r"`([^`]+)`", row)
    if " " in message and "/" not in message
]
FROM_LIBRARIES = {
    *("Calling AE title not recognised", "Called AE title not recognised"),  # pynetdicom
    *("certificate has expired", "self-signed certificate", "unable to get local issuer certificate"),  # OpenSSL
    *("Hostname mismatch", "IP address mismatch"),
}
_VARIABLE = re.compile(r"…|\bno certificate\b|\b\d[\d,]*H?\b|\b[A-Z][A-Z-]{4,}\b|\bpacs\b|[():]")
"""What differs from one message to the next: numbers, AE titles, services, and the words of a peer."""


def _texts() -> str:
    """Return the constant parts of all strings in the program, one a line."""
    trees = (ast.parse(path.read_text("utf-8")) for path in sorted(Path(ROOT / "orchestrator").rglob("*.py")))
    constants = (node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return "\n".join(text for text in constants if isinstance(text, str))


@pytest.fixture(scope="module")
def texts() -> str:
    return _texts()


@pytest.mark.parametrize(("page", "message"), MESSAGES, ids=lambda value: value)
def test_the_program_has_the_message(texts: str, page: str, message: str) -> None:
    parts = [part.strip(" ,;.") for part in _VARIABLE.split(message)]
    known = [part for part in parts if " " in part and part not in FROM_LIBRARIES]
    assert [part for part in known if part not in texts] == []
