"""Looking at one result in a browser and judging it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect


@pytest.fixture
def brain(page: Page, hospital) -> Page:
    page.goto(f"/results/{hospital.room.keys['brain']}")
    listens(page)
    return page


@pytest.fixture
def bleeding(page: Page, hospital) -> Page:
    page.goto(f"/results/{hospital.room.keys['haemorrhage']}")
    listens(page)
    return page


def listens(page: Page) -> None:
    """Wait until the page's scripts run: what the server drew looks the same before."""
    expect(page.locator("#live")).to_have_text("Live")


def shows(page: Page, index: int, look: str = "") -> None:
    """Wait until the picture on the page is this slice, drawn with this look."""
    expect(page.locator("#slice")).to_have_attribute("src", re.compile(rf"/slices/{index}\.png\?.*{look}"))


def sign(page: Page, name: str = "Ada Okafor") -> None:
    page.get_by_label("Your name").fill(name)
    page.get_by_label("Organization").fill("St. Anna")


def test_the_slider_changes_the_picture(brain: Page):
    before = brain.locator("#slice").screenshot()
    brain.locator("#index").fill("20")
    shows(brain, 19)
    expect(brain.locator("#position")).to_have_text("image 120 (20 / 24)")
    expect(brain.locator("#slice")).to_have_js_property("complete", True)
    assert brain.locator("#slice").screenshot() != before


@pytest.mark.parametrize(
    ("keys", "index"),
    [
        (["ArrowDown"], 12),
        (["ArrowUp", "ArrowUp"], 9),
        (["PageDown"], 21),
        (["PageUp", "PageUp"], 0),
        (["End"], 23),
        (["Home"], 0),
        (["Home", "b"], 11),
    ],
)
def test_keys_change_the_slice(brain: Page, keys: list[str], index: int):
    for key in keys:
        brain.keyboard.press(key)
    shows(brain, index)


def test_keys_jump_from_finding_to_finding_and_mark_them(bleeding: Page, photograph):
    bleeding.keyboard.press("n")
    shows(bleeding, 6, "spot=findings%2F0")
    expect(bleeding.locator("#drawing")).to_have_text("Intracranial haemorrhage: image 107")
    bleeding.keyboard.press("n")
    shows(bleeding, 11, "spot=measurements%2F0")
    expect(bleeding.locator("[data-spot='measurements/0']")).to_have_attribute("aria-current", "true")
    photograph(bleeding, "jump", docs=False)
    bleeding.keyboard.press("p")
    shows(bleeding, 6, "spot=findings%2F0")


def test_a_click_marks_a_finding_and_another_one_takes_the_mark_away(bleeding: Page):
    link = bleeding.get_by_role("link", name="image 107")
    link.click()
    shows(bleeding, 6, "spot=findings%2F0")
    link.click()
    shows(bleeding, 6, "outline=true$")


def test_the_wheel_changes_the_slice_and_not_the_page(brain: Page):
    brain.locator("#stage").hover()
    brain.mouse.wheel(0, 120)
    shows(brain, 12)
    assert brain.evaluate("scrollY") == 0


def test_outlines_go_off_and_on(brain: Page):
    brain.keyboard.press("o")
    shows(brain, 11, "opacity=0&outline=false")
    brain.locator("#stage").focus()
    brain.keyboard.press(" ")
    shows(brain, 11, "opacity=45&outline=true")


def test_the_fill_can_be_set(brain: Page):
    brain.locator("#opacity").fill("80")
    shows(brain, 11, "opacity=80")


def test_a_window_preset_is_a_key_away(bleeding: Page):
    bleeding.keyboard.press("3")
    shows(bleeding, 11, "centre=75&width=215")
    expect(bleeding.locator("#centre")).to_have_value("75")
    bleeding.keyboard.press("0")
    shows(bleeding, 11, "outline=true$")


def test_window_numbers_are_taken_together(brain: Page):
    brain.locator("#centre").fill("400")
    brain.locator("#centre").press("Tab")
    shows(brain, 11, "outline=true$")
    brain.locator("#width").fill("900")
    brain.locator("#width").press("Tab")
    shows(brain, 11, "centre=400&width=900")


def test_dragging_changes_the_window(bleeding: Page):
    bleeding.get_by_label("Window", exact=True).last.select_option("Bone")
    stage = bleeding.locator("#stage").bounding_box()
    bleeding.mouse.move(stage["x"] + 200, stage["y"] + 200)
    bleeding.mouse.down()
    bleeding.mouse.move(stage["x"] + 230, stage["y"] + 215)
    bleeding.mouse.up()
    shows(bleeding, 11, "centre=600&width=2200")


def test_a_result_is_accepted(brain: Page, hospital):
    sign(brain)
    brain.get_by_role("button", name="Accept").click()
    expect(brain.locator("#verdict")).to_contain_text("Accepted by Ada Okafor, St. Anna")
    assert hospital.room.ledger.reviews.newest(hospital.room.keys["brain"]).state == "accepted"


def test_the_next_verdict_knows_its_author(brain: Page, hospital):
    sign(brain)
    brain.get_by_role("button", name="Accept").click()
    expect(brain.locator("#verdict")).to_contain_text("Accepted by")
    listens(brain)
    brain.keyboard.press("j")
    brain.wait_for_url(f"**/results/{hospital.room.keys['haemorrhage']}")
    expect(brain.get_by_label("Your name")).to_have_value("Ada Okafor")


def test_rejecting_asks_for_a_reason_first(brain: Page, hospital):
    sign(brain)
    brain.get_by_role("button", name="Reject").click()
    expect(brain.locator("#verdict-fault")).to_have_text("Please choose why the result is rejected.")
    brain.get_by_label("Something is missing").check()
    brain.get_by_label("Comment").fill("The right temporal pole is missing.")
    brain.get_by_role("button", name="Reject").click()
    expect(brain.locator("#verdict")).to_contain_text("Rejected by Ada Okafor")
    review = hospital.room.ledger.reviews.newest(hospital.room.keys["brain"])
    assert (review.state, review.reason, review.comment) == (
        "rejected",
        "incomplete",
        "The right temporal pole is missing.",
    )


def test_a_value_is_corrected_and_both_stay_visible(brain: Page, hospital, photograph):
    sign(brain)
    brain.keyboard.press("Escape")
    brain.locator("h1").click()
    brain.keyboard.press("c")
    field = brain.get_by_label("Brain volume")
    expect(field).to_be_focused()
    field.fill("1480")
    photograph(brain, "correcting", docs=False)
    brain.get_by_role("button", name="Save correction").click()
    expect(brain.locator("#verdict")).to_contain_text("Corrected by Ada Okafor")
    expect(brain.locator(".found")).to_contain_text("1,502 ml")
    expect(brain.locator(".found .reader")).to_have_text("1,480 ml")
    photograph(brain, "corrected")
    assert hospital.room.ledger.reviews.newest(hospital.room.keys["brain"]).changes[0]["after"] == 1480.0


def test_a_correction_that_changes_nothing_is_not_sent(brain: Page):
    sign(brain)
    brain.get_by_text("Correct a value or a class").click()
    brain.get_by_role("button", name="Save correction").click()
    expect(brain.locator("#verdict-fault")).to_contain_text("You changed no value")


def test_typed_values_are_not_lost_by_another_verdict(brain: Page, hospital):
    sign(brain)
    brain.get_by_text("Correct a value or a class").click()
    brain.get_by_label("Brain volume").fill("1480")
    brain.get_by_role("button", name="Accept").click()
    expect(brain.locator("#verdict-fault")).to_contain_text("You entered new values")
    assert hospital.room.ledger.reviews.newest(hospital.room.keys["brain"]).state == "pending"


def test_enter_in_a_field_gives_no_verdict(brain: Page, hospital):
    sign(brain)
    brain.get_by_label("Your name").press("Enter")
    brain.wait_for_timeout(300)
    assert hospital.room.ledger.reviews.newest(hospital.room.keys["brain"]).state == "pending"


def test_letters_typed_into_a_field_are_text(brain: Page):
    brain.get_by_label("Your name").press_sequentially("bono?")
    expect(brain.get_by_label("Your name")).to_have_value("bono?")
    shows(brain, 11, "opacity=45")


def test_the_second_of_two_reviewers_is_told(seat: Callable[..., Page], hospital, complaints: list[str], photograph):
    address = f"/results/{hospital.room.keys['brain']}"
    first, second = seat(), seat()
    for page, name in ((first, "Ada Okafor"), (second, "Ben Yilmaz")):
        page.goto(address)
        sign(page, name)
    first.get_by_role("button", name="Accept").click()
    expect(first.locator("#verdict")).to_contain_text("Accepted by Ada Okafor")
    expect(second.locator("#changed")).to_be_visible()
    second.get_by_label("Finding or outline is wrong").check()
    second.get_by_role("button", name="Reject").click()
    expect(second.get_by_role("heading", level=1)).to_have_text("Verdict not saved")
    expect(second.locator("main")).to_contain_text("Ada Okafor")
    photograph(second, "conflict", docs=False)
    complaints[:] = [each for each in complaints if "409" not in each]  # the browser's note on the answer


def test_a_superseded_result_offers_no_verdict(page: Page, hospital):
    page.goto(f"/results/{hospital.room.keys['old']}")
    expect(page.locator("#verdict")).to_contain_text("this result takes no verdict")
    expect(page.get_by_role("button", name="Accept")).to_have_count(0)


def test_a_uid_is_copied(brain: Page, hospital):
    brain.context.grant_permissions(["clipboard-read", "clipboard-write"])
    brain.get_by_label("Copy the study UID").first.click()
    study = hospital.room.ledger.jobs.get(hospital.room.keys["brain"]).study_uid
    expect(brain.get_by_label("Copy the study UID").first).to_have_text("Copied")
    assert brain.evaluate("navigator.clipboard.readText()") == study
