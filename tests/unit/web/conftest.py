"""A reading room over a ledger of its own, and a browser that talks to the pages without a socket."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from orchestrator.domain.reading import ONE_READER, ReadingPolicy
from orchestrator.ledger import Ledger
from orchestrator.web import create_app
from tests.data.reading_room import CARDS, Drawings, ReadingRoom


@dataclass
class Visitor:
    """Asks for pages as a browser on this machine does."""

    app: FastAPI
    headers: dict[str, str] = field(default_factory=lambda: {"sec-fetch-site": "same-origin"})

    def get(self, path: str, **options: Any) -> httpx.Response:
        return asyncio.run(self._ask("GET", path, options))

    def post(self, path: str, **options: Any) -> httpx.Response:
        return asyncio.run(self._ask("POST", path, options))

    async def _ask(self, method: str, path: str, options: dict[str, Any]) -> httpx.Response:
        headers = {**self.headers, **options.pop("headers", {})}
        # the page of an unexpected fault is what is looked at, not the fault
        wire = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=wire, base_url="http://localhost:8080", trust_env=False) as client:
            return await client.request(method, path, headers=headers, **options)


@pytest.fixture(scope="session")
def ledger_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ledger") / "ledger.db"


@pytest.fixture(scope="session")
def ledger(ledger_file: Path) -> Iterator[Ledger]:
    """One ledger that stays open, with its statements compiled: opening one takes longer than most tests here."""
    opened = Ledger.open(f"sqlite:///{ledger_file}")
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def empty(ledger: Ledger, ledger_file: Path) -> Iterator[sqlite3.Connection]:
    """The ledger as it was before any test."""
    with closing(sqlite3.connect(":memory:")) as copy, closing(sqlite3.connect(ledger_file)) as made:
        made.backup(copy)
        yield copy


@pytest.fixture
def room(ledger: Ledger, ledger_file: Path, empty: sqlite3.Connection) -> ReadingRoom:
    with closing(sqlite3.connect(ledger_file)) as used:
        empty.backup(used)
    return ReadingRoom(ledger)


@pytest.fixture
def pictures() -> Drawings:
    return Drawings()


@pytest.fixture
def told() -> list[tuple[Any, ...]]:
    """What the application told the lead's callables."""
    return []


@pytest.fixture
def reading() -> ReadingPolicy:
    """Whether a second person must judge; a module that asks for one says so itself."""
    return ONE_READER


@pytest.fixture
def app(room: ReadingRoom, pictures: Drawings, told: list[tuple[Any, ...]], reading: ReadingPolicy) -> FastAPI:
    return create_app(
        room.ledger,
        pictures=pictures,
        models=CARDS,
        retry=lambda key, by: told.append(("retry", key, by)),
        cancel=lambda key, by: told.append(("cancel", key, by)),
        reading=reading,
        archives={"pacs": True, "busy": True, "old": False},
        review_changed=lambda _job, before, after: told.append(("review", before, after)),
    )


@pytest.fixture
def visitor(app: FastAPI) -> Visitor:
    return Visitor(app)
