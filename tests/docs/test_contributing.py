"""The development page names files, targets and rooms that are there."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import ROOT, text_of

PAGE = text_of("CONTRIBUTING.md")
MAKEFILE = text_of("Makefile")
FOLDERS = ("orchestrator", "tests", "docs", "plugins", "models", "notebooks", "benchmarks")
PATHS = sorted(set(re.findall(rf"(?<![\w./-])(?:{'|'.join(FOLDERS)})/[\w./-]*\w", PAGE)))
MODULES = sorted(set(re.findall(r"-m (tests\.[\w.]+)", PAGE)))
INTERNAL = {"help", "clean", "debian"}


@pytest.mark.parametrize("path", PATHS)
def test_a_path_is_there(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_there(module: str) -> None:
    assert (ROOT / f"{module.replace('.', '/')}.py").is_file()


@pytest.mark.parametrize("name", ["SCHEMES", "RULE_KEYS", "HOST_FACTS", "PAGES", "Permission", "Runtime"])
def test_a_name_stands_in_the_file_that_is_named_beside_it(name: str) -> None:
    (file,) = re.findall(rf"`{name}`[^`]*(?:`\w+`[^`]*)*`(orchestrator/[\w/]+\.py)`", PAGE)[:1]
    assert re.search(rf"^(class )?{name}\b", (ROOT / file).read_text("utf-8"), re.MULTILINE)


def test_the_targets_of_make_are_those_that_there_are() -> None:
    (phony,) = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert set(re.findall(r"`make ([\w-]+)", PAGE)) == set(phony.split()) - INTERNAL


def test_every_room_has_a_line() -> None:
    rooms = {place.parent.name for place in (ROOT / "orchestrator").glob("*/__init__.py")}
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == rooms


def test_the_page_stays_short() -> None:
    assert len(PAGE.splitlines()) <= 130
