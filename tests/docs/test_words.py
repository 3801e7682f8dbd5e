"""The pages use the words of the glossary and the terms of the field."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, name_of, text_of

GLOSSARY = re.findall(r"^\| ([a-z][^|]*) \| ([^|]+) \|$", text_of("docs/reference/glossary.md"), re.MULTILINE)[1:]
ARCHAIC = re.compile(
    r"\b(un)?told\b|\bowe[ds]?\b|\banew\b|\baside\b|\bof ours\b|\bcare\b|\b(?-i:pulse)\b"
    r"|\bputs? down\b|\bhand(s|ed|ing)? out\b|\bt(ake|akes|aken|aking|ook) up\b",
    re.IGNORECASE,
)
CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.DOTALL | re.MULTILINE)


def test_the_words_of_the_glossary_are_sorted_and_defined_once() -> None:
    words = [word for word, _ in GLOSSARY]
    assert words == sorted(set(words))


def test_every_definition_is_a_sentence() -> None:
    assert [word for word, meaning in GLOSSARY if not meaning[0].isupper() or meaning[-1] != "."] == []


def test_the_glossary_defines_the_words_that_pages_rely_on() -> None:
    words = {"series", "revision", "spool", "completion", "release", "job", "outbox", "delivery"}
    assert words | {"verdict", "review", "retraction", "withdrawal", "hold"} <= {word for word, _ in GLOSSARY}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_uses_no_archaic_word(page: Path) -> None:
    found = [match.group() for match in ARCHAIC.finditer(CODE.sub("", page.read_text("utf-8")))]
    assert found == []
