"""A reading room over a ledger of its own, and a browser that talks to the pages without a socket."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
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
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a ledger that was made once: making it takes longer than most tests here."""
    path = tmp_path_factory.mktemp("ledger") / "empty.db"
    Ledger.open(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def room(empty_ledger: Path, tmp_path: Path) -> Iterator[ReadingRoom]:
    ledger = Ledger.open(f"sqlite:///{shutil.copy(empty_ledger, tmp_path)}")
    yield ReadingRoom(ledger)
    ledger.close()


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
