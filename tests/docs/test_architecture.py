"""The tour of the code names files and functions that are there."""

from __future__ import annotations

import ast
import re

import pytest

from tests.docs.pages import ROOT, text_of

TOUR = text_of("docs/explanation/architecture.md")
PLACES = [
    (path, tuple(re.findall(r"`([\w.]+)`", names)))
    for path, names in re.findall(r"`(orchestrator/[\w/]+\.py)`(?:: ((?:`[\w.]+`(?:, )?)+))?", TOUR)
]


def _defined(path: str) -> set[str]:
    """Return ``function``, ``Class`` and ``Class.method`` of a file."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    names = {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    for made in tree.body:
        if isinstance(made, ast.ClassDef):
            names |= {f"{made.name}.{node.name}" for node in made.body if isinstance(node, ast.FunctionDef)}
    return names


@pytest.mark.parametrize(("path", "names"), PLACES, ids=[path for path, _ in PLACES])
def test_what_the_tour_names_is_there(path: str, names: tuple[str, ...]) -> None:
    assert (ROOT / path).is_file()
    assert set(names) <= _defined(path)


def test_the_tour_has_many_stops() -> None:
    assert sum(len(names) for _, names in PLACES) > 20
