"""The ledger and the engine are tested on SQLite and on PostgreSQL, which are to behave the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.ledger import Ledger
from tests.parts import postgres


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Postgres]:
    if not postgres.installed():
        pytest.skip("no PostgreSQL server on this machine")
    with postgres.running() as server:
        yield server


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def new_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], str]:
    """Return a function that returns the URL of a new, empty database."""
    if request.param == "postgresql":
        server: postgres.Postgres = request.getfixturevalue("postgres_server")
        return server.database
    return lambda: f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'orchestrator.db'}"


@pytest.fixture
def database_url(new_database: Callable[[], str]) -> str:
    return new_database()


@pytest.fixture
def ledger(database_url: str) -> Iterator[Ledger]:
    ledger = Ledger.open(database_url)
    yield ledger
    ledger.close()


@pytest.fixture
def lock_folder(tmp_path: Path) -> Path:
    return tmp_path / "locks"
