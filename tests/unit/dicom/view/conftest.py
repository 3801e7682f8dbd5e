"""A small CT series whose numbers grow along its normal, as its slices do: so an index means the same in both."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.series import ct_series


@pytest.fixture(scope="session")
def ct(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return the files of an axial CT of 8 x 24 x 32."""
    return ct_series(tmp_path_factory.mktemp("ct"), slices=8, rows=24, columns=32)
