"""Every page is accessible, fits every monitor, and breaks no rule of its own policy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.data.reading_room import uid

PAGES = ("/", "/?state=all", "brain", "rejected", "old", "/jobs", "job", "/series", "study")
MONITORS = [(1366, 768), (2560, 1440), (390, 844)]


def address(hospital, page: str) -> str:
    """Return the address of a page by its short name."""
    keys = hospital.room.keys
    named = {"job": f"/jobs/{keys['crashed']}", "study": f"/studies/{uid('study localizer')}"}
    return named.get(page) or (page if page.startswith("/") else f"/results/{keys[page]}")


def test_every_page_meets_wcag_aa(page: Page, hospital):
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
    faults = {}
    for name in PAGES:
        page.goto(address(hospital, name))
        page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        found = Axe().run(page, options=rules)
        faults[name] = [(each["id"], each["nodes"][0]["html"]) for each in found.response["violations"]]
    assert {name: each for name, each in faults.items() if each} == {}


@pytest.mark.parametrize("monitor", MONITORS, ids=lambda size: f"{size[0]}x{size[1]}")
def test_no_page_is_wider_than_its_monitor(seat: Callable[..., Page], hospital, monitor):
    page = seat(viewport={"width": monitor[0], "height": monitor[1]})
    too_wide = []
    for name in PAGES:
        page.goto(address(hospital, name))
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            too_wide.append(name)
    assert too_wide == []


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
    page.goto(address(hospital, "brain"))
    unseen = []
    for _ in range(25):
        page.keyboard.press("Tab")
        seen = page.evaluate("getComputedStyle(document.activeElement).outlineStyle !== 'none'")
        if not seen:
            unseen.append(page.evaluate("document.activeElement.outerHTML.slice(0, 80)"))
    assert unseen == []


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
    page.get_by_text("Why did no AI run here?").first.click()
    expect(page.locator(".explanation").first).to_contain_text("did not match")
    photograph(page, "series")


def test_jobs_are_photographed(page: Page, photograph: Callable[..., Path]):
    page.goto("/jobs")
    expect(page.locator("tbody tr")).to_have_count(12)
    photograph(page, "jobs")
