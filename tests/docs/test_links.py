"""Every link leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, links, name_of, text_of


def _anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize(("page", "target"), links(), ids=lambda value: str(value).removeprefix(f"{ROOT}/"))
def test_a_link_leads_to_a_file_and_to_a_heading_of_it(page: Path, target: str) -> None:
    name, _, anchor = target.partition("#")
    place = (page.parent / name).resolve()
    assert place.exists()
    assert not anchor or anchor in _anchors(place)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if name_of(page).startswith("docs/") and page.name != "README.md"], ids=name_of
)
def test_every_page_is_reached_from_the_index(page: Path) -> None:
    assert f"({page.relative_to(ROOT / 'docs').as_posix()})" in text_of("docs/README.md")


def test_the_index_is_reached_from_the_first_page() -> None:
    assert "docs/README.md" in {target for page, target in links() if page.name == "README.md" and page.parent == ROOT}
