"""A radiologist's worklist in a browser: live, by keyboard, and honest when it is out of date."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from orchestrator.domain.job import Priority
from orchestrator.domain.result import Urgency
from orchestrator.domain.review import ReviewState


def test_waiting_results_appear_with_their_pictures(page: Page, photograph: Callable[..., Path]):
    page.goto("/")
    expect(page.locator(".row")).to_have_count(6)
    expect(page.locator(".row").first).to_contain_text("Immediate: act within minutes")
    expect(page.locator(".row img").first).to_have_js_property("naturalWidth", 192)
    expect(page.locator("#live")).to_have_text("Live")
    page.keyboard.press("j")
    assert photograph(page, "worklist").stat().st_size > 10_000


def test_a_new_urgent_result_comes_first_without_a_reload(page: Page, hospital):
    page.goto("/")
    expect(page.locator("#live")).to_have_text("Live")
    page.evaluate("window.untouched = true")
    job = hospital.room.result(
        "new", model="pneumothorax", urgency=Urgency.IMMEDIATE, priority=Priority.STAT, minutes=60
    )
    expect(page.locator(".row").first).to_have_attribute("data-key", job.key)
    expect(page.locator(".row")).to_have_count(7)
    expect(page.locator("#announce")).to_contain_text("New result: pneumothorax")
    expect(page.locator("#filters")).to_contain_text(re.compile(r"Pending\s+7"))
    assert page.evaluate("window.untouched")


def test_a_result_that_was_judged_elsewhere_leaves_the_list(page: Page, hospital):
    page.goto("/")
    expect(page.locator("#live")).to_have_text("Live")
    hospital.room.verdict("brain", ReviewState.ACCEPTED)
    expect(page.locator(".row")).to_have_count(5)
    expect(page.locator(f"[data-key='{hospital.room.keys['brain']}']")).to_have_count(0)


def test_an_update_leaves_the_reader_where_they_are(page: Page, hospital):
    page.goto("/")
    expect(page.locator("#live")).to_have_text("Live")
    for _ in range(3):
        page.keyboard.press("j")
    here = page.evaluate("document.activeElement.getAttribute('href')")
    hospital.room.result("new", urgency=Urgency.IMMEDIATE)
    expect(page.locator(".row")).to_have_count(7)
    assert page.evaluate("document.activeElement.getAttribute('href')") == here


def test_the_list_is_walked_and_opened_by_keyboard(page: Page, hospital):
    page.goto("/")
    expect(page.locator("#live")).to_have_text("Live")
    for key in ("j", "j", "j", "k"):
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/results/{hospital.room.keys['nodule']}")


def test_the_keys_are_explained(page: Page):
    page.goto("/")
    expect(page.locator("#live")).to_have_text("Live")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("next, previous result")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_the_filters_are_a_key_away_and_kept_in_the_address(page: Page, hospital, photograph):
    page.goto("/")
    expect(page.locator("#live")).to_have_text("Live")
    page.keyboard.press("/")
    expect(page.get_by_label("Urgency")).to_be_focused()
    page.get_by_label("Urgency").select_option("urgent")
    page.wait_for_url("**urgency=urgent**")
    expect(page.locator(".row")).to_have_count(1)
    photograph(page, "worklist-filtered", docs=False)
    page.locator(".row .open").first.click()
    page.wait_for_url("**/results/*urgency=urgent**")
    page.keyboard.press("w")
    page.wait_for_url("**/?urgency=urgent")


def test_live_updates_respect_the_filter(page: Page, hospital):
    page.goto("/?urgency=urgent")
    expect(page.locator("#live")).to_have_text("Live")
    hospital.room.result("plain")
    job = hospital.room.result("pressing", urgency=Urgency.URGENT, minutes=60)
    expect(page.locator(".row")).to_have_count(2)
    expect(page.locator(".row").first).to_have_attribute("data-key", job.key)


def test_the_model_filter_needs_no_button(page: Page):
    page.goto("/")
    page.get_by_label("Model").select_option("burned-in-text")
    page.wait_for_url("**model=burned-in-text**")
    expect(page.locator(".row")).to_have_count(2)


def test_the_pages_work_without_scripts(seat: Callable[..., Page], hospital):
    page = seat(java_script_enabled=False)
    page.goto("/")
    page.get_by_label("Model").select_option("burned-in-text")
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".row")).to_have_count(2)
    page.goto(f"/results/{hospital.room.keys['brain']}")
    page.get_by_label("Next slice").click()
    expect(page.locator("#slice")).to_have_attribute("src", re.compile("/slices/12.png"))
    page.get_by_label("Your name").fill("Ada Okafor")
    page.get_by_label("Organization").fill("St. Anna")
    page.get_by_role("button", name="Accept").click()
    expect(page.locator("#verdict")).to_contain_text("Accepted by Ada Okafor, St. Anna")


def test_a_server_that_ends_does_not_wait_for_readers(page: Page, hospital, complaints: list[str]):
    page.goto("/")
    expect(page.locator("#live")).to_have_text("Live")
    hospital.stop()
    expect(page.locator("#live")).to_contain_text("No live updates")
    expect(page.locator("#live a")).to_have_text("Reload")
    complaints[:] = [
        each for each in complaints if "ERR_CONNECTION_REFUSED" not in each and "ERR_INCOMPLETE" not in each
    ]
