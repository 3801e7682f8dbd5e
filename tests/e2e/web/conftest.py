"""The pages on a real server, seen with a real browser."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

from orchestrator.domain.reading import ONE_READER, ReadingPolicy
from orchestrator.ledger import Ledger
from orchestrator.web import Pictures, Server, create_app
from tests.data.reading_room import CARDS, Drawings, ReadingRoom, fill
from tests.e2e.conftest import PATIENCE_MS

PICTURES = Path(__file__).parents[3] / "docs" / "pictures"
READING_ROOM_MONITOR = {"width": 1366, "height": 768}


@dataclass
class Hospital:
    """A running server and the ledger behind it."""

    room: ReadingRoom
    url: str
    server: Server
    thread: threading.Thread

    def stop(self) -> None:
        """End the server, which waits for no reader."""
        self.server.should_exit = True
        self.thread.join(PATIENCE_MS / 1000)
        assert not self.thread.is_alive()


@pytest.fixture
def room(tmp_path: Path) -> Iterator[ReadingRoom]:
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield fill(ReadingRoom(ledger))
    ledger.close()


@pytest.fixture
def pictures(room: ReadingRoom) -> Pictures:
    return Drawings()


@pytest.fixture
def reading() -> ReadingPolicy:
    """Whether a second person must judge; a module that asks for one says so itself."""
    return ONE_READER


@pytest.fixture
def hospital(room: ReadingRoom, pictures: Pictures, reading: ReadingPolicy) -> Iterator[Hospital]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Server(create_app(room.ledger, pictures=pictures, models=CARDS, reading=reading), port=port)
    server.config.timeout_graceful_shutdown = 3600  # waiting for readers would never end
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    hospital = Hospital(room, f"http://localhost:{port}", server, thread)
    yield hospital
    hospital.stop()


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """What browsers said in their console: violations of the policy, failed loads, errors of scripts."""
    heard: list[str] = []
    yield heard
    assert not heard


@pytest.fixture
def seat(chromium: Browser, hospital: Hospital, complaints: list[str]) -> Iterator[Callable[..., Page]]:
    """Opens the pages as one more person, with cookies of their own."""
    contexts: list[BrowserContext] = []

    def sit(**options: object) -> Page:
        context = chromium.new_context(base_url=hospital.url, **{"viewport": READING_ROOM_MONITOR, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda message: _listen(message, complaints))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield sit
    for context in contexts:
        context.close()


@pytest.fixture
def page(seat: Callable[..., Page]) -> Page:
    return seat()


@pytest.fixture
def photograph() -> Callable[..., Path]:
    """Keeps a picture of a page under test-output; in the documentation's folder where DOCS_PICTURES=1 asks for it."""

    def take(page: Page, name: str, *, full: bool = False, docs: bool = True) -> Path:
        folder = PICTURES if docs and os.environ.get("DOCS_PICTURES") == "1" else PICTURES.parents[1] / "test-output"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.png"
        page.screenshot(path=path, full_page=full)
        return path

    return take


def _listen(message: ConsoleMessage, complaints: list[str]) -> None:
    if message.type in {"error", "warning"}:
        complaints.append(message.text)
