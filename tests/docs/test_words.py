"""The glossary defines the words of the system."""

from __future__ import annotations

import re

from tests.docs.pages import text_of

GLOSSARY = re.findall(r"^\| ([a-z][^|]*) \| ([^|]+) \|$", text_of("docs/reference/glossary.md"), re.MULTILINE)[1:]


def test_the_words_of_the_glossary_are_sorted_and_defined_once() -> None:
    words = [word for word, _ in GLOSSARY]
    assert words == sorted(set(words))


def test_every_definition_is_a_sentence() -> None:
    assert [word for word, meaning in GLOSSARY if not meaning[0].isupper() or meaning[-1] != "."] == []


def test_the_glossary_defines_the_words_that_pages_rely_on() -> None:
    words = {"series", "revision", "spool", "completion", "release", "job", "outbox", "delivery"}
    assert words | {"verdict", "review", "retraction", "withdrawal", "hold"} <= {word for word, _ in GLOSSARY}
