"""The tour of the code names files and functions that are there."""

from __future__ import annotations

import ast
import re

import pytest

from tests.docs.import_orders import page
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


def test_the_tour_has_at_most_fifteen_stops() -> None:
    assert [int(number) for number in re.findall(r"^\| (\d+) \w+ \|", TOUR, re.MULTILINE)] == [*range(1, 16)]
    assert sum(len(names) for _, names in PLACES) > 20


def test_every_room_is_described() -> None:
    described = dict(re.findall(r"^\| `(\w+)` \|.*?\|(.*)\|$", TOUR, re.MULTILINE))
    assert described.keys() == set(_rooms_below("orchestrator"))
    for room, folders in described.items():
        assert set(re.findall(r"`(\w+)`", folders)) == set(_rooms_below(f"orchestrator/{room}"))


def test_the_orders_are_those_of_the_contracts() -> None:
    assert page() == TOUR, "python -m tests.docs.import_orders writes them"


def _rooms_below(folder: str) -> list[str]:
    return [place.parent.name for place in (ROOT / folder).glob("*/__init__.py")]
