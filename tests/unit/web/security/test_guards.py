"""What never reaches a page, and what protects every answer."""

from __future__ import annotations

import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.web.security.guards import LARGEST_BODY, LOOPBACK, host_name
from tests.data.reading_room import ReadingRoom, fill


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1:9000", "[::1]:8080", "LOCALHOST"])
def test_pages_answer_under_the_names_of_this_machine(visitor, host):
    assert visitor.get("/healthz", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "localhost@evil.example", "10.0.0.1", "", "a b"]
)
def test_a_rebound_name_reaches_no_page(visitor, host):
    answer = visitor.get("/", headers={"host": host})
    assert answer.status_code == 421
    assert 'id="worklist"' not in answer.text


@given(st.text(max_size=80))
def test_only_the_exact_names_pass_whatever_the_header_says(host):
    name = host_name(host)
    assert name not in LOOPBACK or host.lower().startswith(name)


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"origin": "https://evil.example"},
        {"origin": "http://localhost:9999"},
        {"origin": "null"},
    ],
)
def test_a_form_from_elsewhere_changes_nothing(visitor, room: ReadingRoom, headers):
    room.result("brain")
    form = {"seen": "pending", "verdict": "accepted", "by": "Ada", "organization": "St. Anna"}
    answer = visitor.post(f"/results/{room.keys['brain']}/verdict", data=form, headers=headers)
    assert answer.status_code == 403
    assert room.ledger.reviews.newest(room.keys["brain"]).state == "pending"


def test_a_client_that_is_no_browser_may_post(visitor, room: ReadingRoom):
    room.result("brain")
    visitor.headers = {}
    form = {"seen": "pending", "verdict": "accepted", "by": "Ada", "organization": "St. Anna"}
    assert visitor.post(f"/results/{room.keys['brain']}/verdict", data=form).status_code == 303


def test_a_large_body_is_refused_before_it_is_read(visitor):
    answer = visitor.post("/results/abcdef/verdict", content=b"a" * (LARGEST_BODY + 1))
    assert answer.status_code == 413


def test_a_body_of_unknown_size_is_refused(visitor):
    async def endless():
        yield b"seen=pending"

    assert visitor.post("/results/abcdef/verdict", content=endless()).status_code == 411


@pytest.mark.parametrize("path", ["/", "/jobs", "/series", "/nothing", "/healthz", "/static/pages.css", "/results/zzz"])
def test_every_answer_is_protected(visitor, path):
    headers = visitor.get(path).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"


def test_the_policy_allows_no_inline_code(visitor):
    policy = visitor.get("/").headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "http" not in policy


def test_pages_hold_no_inline_script_or_style(visitor, room: ReadingRoom):
    fill(room)
    for path in ("/?state=all", f"/results/{room.keys['brain']}", "/jobs", "/series"):
        text = visitor.get(path).text
        assert "<style" not in text
        assert " style=" not in text
        assert " onclick=" not in text
        assert text.count("<script") == text.count('<script type="module" src="/static/')


def test_pages_are_never_stored_by_a_cache(visitor):
    assert visitor.get("/").headers["cache-control"] == "no-store"


def test_a_fault_of_ours_shows_no_inside(app: FastAPI, visitor, monkeypatch):
    monkeypatch.setattr(app.state.site.ledger.results, "count", None)  # a fault that no page expects
    answer = visitor.get("/")
    assert answer.status_code == 500
    assert "NoneType" not in answer.text
    assert "Traceback" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_a_fault_of_ours_is_logged_under_the_reference_on_the_page(app: FastAPI, visitor, monkeypatch, caplog):
    monkeypatch.setattr(app.state.site.ledger.results, "count", None)
    text = visitor.get("/").text
    reference = text.split("reference ")[1][:8]
    assert reference in caplog.text
