"""Unit tests need the light extra ``dev`` only: no torch, no service, no browser."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]
FOLDERS = ("unit", "data", "parts/dicom")
"""The unit tests and what they share with other tests."""
HEAVY = ("torch", "monai", "nibabel", "safetensors", "matplotlib", "nbclient", "playwright", "psycopg")
SERVICES = ("tests.parts.archive", "tests.parts.postgres", "tests.parts.service", "tests.integration", "tests.e2e")


def imported(file: Path) -> Iterator[str]:
    """Yield the modules that a file imports anywhere."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_unit_tests_import_nothing_heavy_and_no_service() -> None:
    files = [file for folder in FOLDERS for file in sorted((TESTS / folder).rglob("*.py"))]
    found = {(file.relative_to(TESTS).as_posix(), name) for file in files for name in imported(file)}
    assert {(file, name) for file, name in found if name.startswith(tuple(f"{each}." for each in SERVICES))} == set()
    assert {(file, name) for file, name in found if name.partition(".")[0] in HEAVY} == set()
