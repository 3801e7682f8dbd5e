"""Two people read one result, each at their own desk, by keyboard alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from orchestrator.domain.reading import ReadingPolicy, SecondReader


@pytest.fixture
def reading() -> ReadingPolicy:
    return ReadingPolicy(SecondReader.ALL)


@pytest.fixture
def at_the_desk(seat: Callable[..., Page], hospital) -> Callable[[str], Page]:
    """Opens the brain's result for somebody who has typed their name."""

    def sit(name: str) -> Page:
        page = seat()
        page.goto(f"/results/{hospital.room.keys['brain']}")
        expect(page.locator("#live")).to_have_text("Live")
        page.get_by_label("Your name").fill(name)
        page.get_by_label("Organization").fill("St. Anna")
        page.get_by_label("Organization").blur()
        return page

    return sit


def accept(page: Page) -> None:
    page.keyboard.press("a")
    expect(page.get_by_role("button", name="Accept")).to_be_focused()
    page.keyboard.press("Enter")


def reject(page: Page) -> None:
    page.keyboard.press("r")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_label("Something is missing")).to_be_checked()
    page.get_by_role("button", name="Reject").press("Enter")


def test_the_second_reader_agrees_without_having_seen(at_the_desk, hospital, photograph):
    accept(first := at_the_desk("Ada Okafor"))
    expect(first.locator("#verdict")).to_contain_text("Awaiting a second reader")
    second = at_the_desk("Ben Yilmaz")
    expect(second.locator("#verdict")).to_contain_text("First reader: Ada Okafor")
    expect(second.locator("main")).not_to_contain_text("Accepted")
    photograph(second, "second-reader", docs=False)
    accept(second)
    expect(second.locator("#verdict")).to_contain_text("Accepted by Ben Yilmaz")
    assert hospital.room.ledger.reviews.newest(hospital.room.keys["brain"]).state == "accepted"


def test_readers_who_differ_are_found_and_settled(at_the_desk, hospital, photograph):
    accept(first := at_the_desk("Ada Okafor"))
    expect(first.locator("#verdict")).to_contain_text("Awaiting a second reader")
    reject(second := at_the_desk("Ben Yilmaz"))
    expect(second.locator("#verdict")).to_contain_text("The two readers disagree")
    first.goto("/")
    first.get_by_role("link", name="Disagree 1").click()
    first.locator(".row .open").click()
    expect(first.locator("#verdict")).to_contain_text("Rejected by Ben Yilmaz")
    photograph(first, "disagreed")
    third = at_the_desk("Eva Lind")
    third.get_by_label("Comment").fill("Looked at it together: nothing is missing.")
    third.get_by_label("Comment").blur()
    accept(third)
    expect(third.locator("#verdict")).to_contain_text("Accepted by Eva Lind")


def test_whoever_read_first_is_told_that_another_person_is_needed(at_the_desk, complaints: list[str]):
    accept(first := at_the_desk("Ada Okafor"))
    expect(first.locator("#verdict")).to_contain_text("Awaiting a second reader")
    accept(again := at_the_desk("ada okafor"))
    expect(again.get_by_role("heading", level=1)).to_have_text("Verdict not saved")
    expect(again.locator("main")).to_contain_text("the second reader must be another person")
    complaints[:] = [each for each in complaints if "409" not in each]  # the browser's note on the answer
