"""What is pushed over HTTP rings at the engine's door as what comes by C-STORE does."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.app.installation.paths import notification_socket_of
from orchestrator.app.service.web import open_stow
from orchestrator.archive import Arrival, Closed, Listener
from orchestrator.archive.http.multipart import MultipartBody
from orchestrator.config import DataSettings, ReceiverSettings, Settings, WebSettings
from tests.data.objects import write_instances


def settings(folder: Path, *, stow: bool = True, receiving: bool = True) -> Settings:
    return Settings(
        receiver=ReceiverSettings(enabled=receiving, minimum_free_mb=0),
        web=WebSettings(stow=stow),
        data=DataSettings(folder=folder),
    )


def test_arrivals_and_the_end_of_a_request_ring(tmp_path: Path) -> None:
    options, outgoing = settings(tmp_path), MultipartBody.of(write_instances(tmp_path / "sent", 2))
    with closing(Listener(notification_socket_of(options))) as listener, open_stow(options) as take:
        assert take is not None
        assert [verdict.reason for verdict in take(outgoing, outgoing.boundary, "")] == [0, 0]
        notes: list[object] = []
        while len(notes) < 3:
            received = listener.receive(60.0)
            assert received, "the bell did not ring within a minute"
            notes += received
    assert [type(note) for note in notes] == [Arrival, Arrival, Closed]
    assert {note.association for note in notes if isinstance(note, Arrival | Closed)} == {notes[-1].association}  # type: ignore[union-attr]


@pytest.mark.parametrize("off", [{"stow": False}, {"receiving": False}])
def test_nothing_is_taken_where_the_settings_want_none(tmp_path: Path, off: dict[str, bool]) -> None:
    with open_stow(settings(tmp_path, **off)) as take:
        assert take is None
