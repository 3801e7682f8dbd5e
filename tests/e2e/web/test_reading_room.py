"""Every page is accessible, fits every monitor, and breaks no rule of its own policy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from orchestrator.domain.reading import SecondReader
from orchestrator.domain.review import RejectReason, ReviewState
from tests.data.reading_room import quarantine, uid

PAGES = (
    *("/", "/?state=all", "/?state=corrected&sort=newest", "/?urgency=non-urgent", "/?page=9"),
    *("haemorrhage", "brain", "rejected", "old", "corrected", "unconfirmed", "read once", "disagreed", "retracted"),
    *("/jobs", "job", "/series", "study", "/quarantine", "/results/abcdef", "/?state=unheard-of"),
)
MONITORS = [(1366, 768), (1536, 2048), (2560, 1440), (390, 844)]
"""A laptop, a reading room's 3 megapixels in portrait, a desktop, a telephone."""


@pytest.fixture
def hospital(hospital):
    """The morning's results, with one in each further state."""
    room, volume = hospital.room, {"at": "measurements/0/value", "what": "Brain volume", "before": 1502.3, "unit": "ml"}
    for word in ("corrected", "unconfirmed", "read once", "disagreed", "retracted"):
        room.result(word)
    room.verdict(
        "corrected", ReviewState.CORRECTED, changes=({**volume, "after": 1480.0},), comment="without the sinus"
    )
    said = {"source": "pacs", "evidence": uid("edited"), "agreement": {"Brain": 0.931}, "organization": ""}
    room.verdict("unconfirmed", ReviewState.CORRECTED, **said)
    for word in ("read once", "disagreed"):
        room.verdict(word, ReviewState.ACCEPTED, second_reader=SecondReader.ALL)
    room.verdict("disagreed", ReviewState.REJECTED, by="Ben Yilmaz", reason=RejectReason.WRONG_SIDE)
    room.verdict("retracted", ReviewState.RETRACTED, comment="the scale was off")
    series = room.ledger.series.find(room.ledger.jobs.get(room.keys["old"]).series_uid)
    assert series is not None
    quarantine(room, series)
    room.ledger.events.record("identity-changed", room.keys["brain"], "pacs holds the study with another PatientID")
    return hospital


def address(hospital, page: str) -> str:
    """Return the address of a page by its short name."""
    keys = hospital.room.keys
    named = {"job": f"/jobs/{keys['crashed']}", "study": f"/studies/{uid('study localizer')}"}
    return named.get(page) or (page if page.startswith("/") else f"/results/{keys[page]}")


def test_every_page_meets_wcag_aa(page: Page, hospital, complaints: list[str]):
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
    faults = {}
    for name in PAGES:
        page.goto(address(hospital, name))
        page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        found = Axe().run(page, options=rules)
        faults[name] = [(each["id"], each["nodes"][0]["html"]) for each in found.response["violations"]]
    assert {name: each for name, each in faults.items() if each} == {}
    complaints[:] = [each for each in complaints if "404" not in each and "422" not in each]  # asked for on purpose


@pytest.mark.parametrize("monitor", MONITORS, ids=lambda size: f"{size[0]}x{size[1]}")
def test_no_page_is_wider_than_its_monitor(seat: Callable[..., Page], hospital, complaints: list[str], monitor):
    page = seat(viewport={"width": monitor[0], "height": monitor[1]})
    too_wide = []
    for name in PAGES:
        page.goto(address(hospital, name))
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            too_wide.append(name)
    assert too_wide == []
    complaints[:] = [each for each in complaints if "404" not in each and "422" not in each]  # asked for on purpose


def test_the_portrait_monitor_shows_the_whole_desk(seat: Callable[..., Page], hospital, photograph):
    page = seat(viewport={"width": 1536, "height": 2048})
    page.goto(address(hospital, "haemorrhage"))
    for name in ("Accept", "Reject"):
        expect(page.get_by_role("button", name=name)).to_be_in_viewport(ratio=1)
    expect(page.locator("#stage")).to_be_in_viewport(ratio=1)
    photograph(page, "result-portrait")


def test_a_verdict_needs_no_scrolling_on_a_small_monitor(page: Page, hospital):
    page.goto(address(hospital, "brain"))
    expect(page.get_by_role("button", name="Accept")).to_be_in_viewport()
    expect(page.locator("#index")).to_be_in_viewport()


def test_nothing_moves_where_motion_is_unwanted(seat: Callable[..., Page]):
    page = seat(reduced_motion="reduce")
    page.goto("/")
    page.evaluate("document.querySelector('.row').classList.add('arrived')")
    assert page.evaluate("getComputedStyle(document.querySelector('.row')).animationName") == "none"


def test_focus_is_always_visible(page: Page, hospital):
    page.goto(address(hospital, "haemorrhage"))
    page.get_by_text("Correct a value or a class").click()
    page.locator(".skip").focus()
    stops, unseen = [], []
    while not stops or stops[-1] != "BODY":
        page.keyboard.press("Tab")
        stops.append(page.evaluate("document.activeElement.tagName"))
        if page.evaluate("getComputedStyle(document.activeElement).outlineStyle === 'none'"):
            unseen.append(page.evaluate("document.activeElement.outerHTML.slice(0, 80)"))
    assert len(stops) > 30
    assert [each for each in unseen if not each.startswith("<body")] == []


def test_jobs_are_kept_up_to_date(page: Page, hospital):
    page.goto("/jobs")
    expect(page.locator("#live")).to_have_text("Live")
    hospital.room.job("fresh", model="pneumothorax")
    expect(page.locator("#listing")).to_contain_text("pneumothorax")


def test_an_update_leaves_open_what_was_opened(page: Page, hospital):
    page.goto(address(hospital, "study"))
    expect(page.locator("#live")).to_have_text("Live")
    page.locator(".explanation summary").first.click()
    room = hospital.room
    room.job("late", model="pneumothorax", series=room.series("localizer", modality="CT"))
    expect(page.locator("#listing")).to_contain_text("pneumothorax")
    expect(page.locator(".explanation details[open]")).to_have_count(1)
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"


def test_the_answer_to_why_no_ai_ran(page: Page, hospital, photograph: Callable[..., Path]):
    page.goto("/series?show=unmatched")
    page.get_by_text("Why did no AI run?").first.click()
    expect(page.locator(".explanation").first).to_contain_text("did not match")
    photograph(page, "series")


def test_jobs_are_photographed(page: Page, photograph: Callable[..., Path]):
    page.goto("/jobs")
    expect(page.locator("tbody tr")).to_have_count(17)
    photograph(page, "jobs")
