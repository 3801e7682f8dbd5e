"""Supervisors learn whether the process lives and whether it can work."""

from __future__ import annotations

import pytest

from orchestrator.domain.errors import UserError
from orchestrator.web import Server, create_app
from tests.data.reading_room import Drawings, ReadingRoom


def test_a_living_process_says_so(visitor):
    assert visitor.get("/healthz").text == "alive\n"


def test_a_ready_one_has_no_faults(visitor):
    assert visitor.get("/readyz").json() == {"ready": True, "faults": {}}


def test_a_ledger_that_does_not_answer_is_named(visitor, room: ReadingRoom, monkeypatch):
    def refuse() -> int:
        raise ConnectionError("password of the database: secret")

    monkeypatch.setattr(room.ledger.events, "last_sequence", refuse)
    answer = visitor.get("/readyz")
    assert (answer.status_code, answer.json()["faults"]) == (503, {"ledger": "does not answer"})
    assert "secret" not in answer.text


def test_other_parts_are_asked_too(visitor, room: ReadingRoom):
    visitor.app = create_app(room.ledger, pictures=Drawings(), models={}, ready=lambda: {"receiver": "port is taken"})
    answer = visitor.get("/readyz")
    assert (answer.status_code, answer.json()) == (503, {"ready": False, "faults": {"receiver": "port is taken"}})


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", ""])
def test_pages_without_a_login_stay_on_this_machine(app, host):
    with pytest.raises(UserError, match="no login yet"):
        Server(app, host=host)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_loopback_is_served(app, host):
    assert Server(app, host=host).config.host == host


@pytest.mark.parametrize(
    "path", ["/docs", "/redoc", "/openapi.json", "/static/../site.py", "/static/nothing.js", "/.git/config"]
)
def test_nothing_else_is_there(visitor, path):
    assert visitor.get(path).status_code == 404


def test_our_files_are_addressed_by_their_content(visitor):
    text = visitor.get("/").text
    address = text.split('<link rel="stylesheet" href="')[1].split('"')[0]
    assert "?v=" in address
    assert visitor.get(address).headers["content-type"].startswith("text/css")


def test_scripts_are_served_as_scripts(visitor):
    assert "javascript" in visitor.get("/static/page.js").headers["content-type"]
