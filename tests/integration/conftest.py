"""The ledger and the engine are tested on SQLite and on PostgreSQL, which are to behave the same."""

from __future__ import annotations

import shutil
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


@pytest.fixture(scope="session")
def new_ledger(request: pytest.FixtureRequest, new_database: Callable[[], str]) -> Callable[[], str]:
    """Return a function that returns the URL of a new, empty ledger: a copy of one that was migrated once."""
    template = new_database()
    Ledger.open(template).close()
    if template.startswith("postgresql:"):
        server: postgres.Postgres = request.getfixturevalue("postgres_server")
        return lambda: server.database(template)

    def copy() -> str:
        url = new_database()
        shutil.copyfile(*(each.removeprefix("sqlite:///") for each in (template, url)))
        return url

    return copy


@pytest.fixture
def database_url(new_ledger: Callable[[], str]) -> str:
    return new_ledger()


@pytest.fixture
def ledger(database_url: str) -> Iterator[Ledger]:
    ledger = Ledger.open(database_url)
    yield ledger
    ledger.close()


@pytest.fixture
def lock_folder(tmp_path: Path) -> Path:
    return tmp_path / "locks"
