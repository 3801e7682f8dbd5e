"""Who reads second, and when two readers have said the same."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from orchestrator.domain.errors import ForbiddenTransition
from orchestrator.domain.reading import SecondReader, after_verdict, agree, check_second_reader
from orchestrator.domain.records import ReviewRecord
from orchestrator.domain.review import VERDICTS, ReviewState

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def said(state: ReviewState, by: str = "Ada Okafor", **more: object) -> ReviewRecord:
    return ReviewRecord(job_key="job", state=state, by=by, at=NOON, **more)  # type: ignore[arg-type]


PENDING = said(ReviewState.PENDING, by="")
WAITS = said(ReviewState.SECOND_READER, by="")
DISAGREED = said(ReviewState.DISAGREED, by="")


@pytest.mark.parametrize(
    ("wanted", "again"),
    [
        (SecondReader.NONE, set()),
        (SecondReader.OVERRULED, {ReviewState.REJECTED, ReviewState.CORRECTED}),
        (SecondReader.ALL, VERDICTS),
    ],
)
def test_the_setting_says_which_first_verdicts_are_read_again(wanted: SecondReader, again: set[ReviewState]) -> None:
    due = {each for each in VERDICTS if after_verdict(PENDING, None, said(each), wanted) is not None}
    assert due == again


@pytest.mark.parametrize("first", VERDICTS)
@pytest.mark.parametrize("second", VERDICTS)
@pytest.mark.parametrize("wanted", SecondReader)
def test_a_second_verdict_stands_where_it_agrees_with_the_first(
    first: ReviewState, second: ReviewState, wanted: SecondReader
) -> None:
    waits = after_verdict(WAITS, said(first), said(second, by="Ben Yilmaz"), wanted)
    assert waits is (None if first is second else ReviewState.DISAGREED)


@pytest.mark.parametrize("third", VERDICTS)
def test_a_third_verdict_settles_it(third: ReviewState) -> None:
    assert after_verdict(DISAGREED, None, said(third), SecondReader.ALL) is None


@pytest.mark.parametrize("state", [ReviewState.SUPERSEDED, ReviewState.RETRACTED])
def test_what_the_host_closes_is_not_read_again(state: ReviewState) -> None:
    assert after_verdict(PENDING, None, said(state), SecondReader.ALL) is None


@pytest.mark.parametrize(("value", "same"), [(40.0, True), (39.0, False)])
def test_two_corrections_agree_where_they_put_the_same_values(value: float, same: bool) -> None:
    first = said(ReviewState.CORRECTED, changes=({"at": "measurements/0/value", "after": 40.0},))
    second = said(ReviewState.CORRECTED, changes=({"at": "measurements/0/value", "after": value},))
    assert agree(first, second) is same


@pytest.mark.parametrize("name", ["Ada Okafor", " ada  OKAFOR ", "Ada. Okafor"])
def test_the_second_reader_is_not_the_first_however_the_name_is_typed(name: str) -> None:
    with pytest.raises(ForbiddenTransition, match="the second reader must be another person"):
        check_second_reader(said(ReviewState.ACCEPTED), said(ReviewState.ACCEPTED, by=name))


def test_another_name_is_another_person() -> None:
    check_second_reader(said(ReviewState.ACCEPTED), said(ReviewState.ACCEPTED, by="Ben Yilmaz"))
