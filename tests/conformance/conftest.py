"""Objects of every kind, written once for all tests here."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from tests.parts.dicom.kinds import KINDS
from tests.parts.dicom.written import Written


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Written]:
    """Return a function that gives the objects of a kind."""

    @cache
    def write(kind: str) -> Written:
        return KINDS[kind](tmp_path_factory.mktemp("objects"))

    return write
