"""The changelog names the release that the program says it is."""

from __future__ import annotations

import re
from datetime import date

import orchestrator
from tests.docs.pages import text_of

CHANGELOG = text_of("CHANGELOG.md")
TITLES = re.findall(r"^## (.+)$", CHANGELOG, re.MULTILINE)
RELEASE = re.compile(r"\[(\d+\.\d+\.\d+)\] - (\d{4}-\d{2}-\d{2})")


def test_the_newest_release_is_the_version_of_the_program() -> None:
    unreleased, newest = TITLES[:2]
    release = RELEASE.fullmatch(newest)
    assert unreleased == "[Unreleased]"
    assert release is not None
    assert release[1] == orchestrator.__version__


def test_every_release_has_a_date() -> None:
    days = [date.fromisoformat(release[2]) for title in TITLES[1:] if (release := RELEASE.fullmatch(title))]
    assert len(days) == len(TITLES) - 1
    assert days == sorted(days, reverse=True)
