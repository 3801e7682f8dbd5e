"""Results are withdrawn from two archives in folders; ledger, flow and objects are real, the clock is set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.ledger import Ledger
from tests.data.series import ct_series
from tests.parts.archive.post import Post
from tests.parts.withdrawal import TwoArchives

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Path]:
    return ct_series(tmp_path_factory.mktemp("sources"), slices=4, rows=32, columns=32)


@pytest.fixture
def places(tmp_path: Path, sources: Sequence[Path]) -> TwoArchives:
    return TwoArchives(tmp_path, sources)


@pytest.fixture
def post(tmp_path: Path, places: TwoArchives) -> Iterator[Post]:
    with closing(Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")) as ledger:
        yield Post(ledger, tmp_path / "outbox", places)
