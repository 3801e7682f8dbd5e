from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import hypothesis.strategies as st
import pytest
from hypothesis import given

from orchestrator.domain.hours import Hours

NIGHT = Hours.parse("20:00-06:00 Europe/Berlin")
MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))
TIMES = st.builds(time, st.integers(0, 23), st.integers(0, 59))
HOURS = st.builds(Hours, TIMES, TIMES, st.sampled_from(["", "UTC", "Europe/Berlin", "Australia/Lord_Howe"])).filter(
    lambda hours: hours.begin != hours.end
)


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("at", "opens"),
    [
        ("2026-01-10T21:30+01:00", "2026-01-10T21:30+01:00"),
        ("2026-01-10T03:00+01:00", "2026-01-10T03:00+01:00"),
        ("2026-01-10T06:00+01:00", "2026-01-10T20:00+01:00"),
        ("2026-07-10T12:00+02:00", "2026-07-10T20:00+02:00"),
        ("2026-07-10T18:30+00:00", "2026-07-10T18:30+00:00"),  # half past eight in Berlin
    ],
)
def test_the_night_opens_in_the_evening(at: str, opens: str) -> None:
    assert NIGHT.opening(berlin(at)) == berlin(opens)


def test_hours_that_the_clock_jumps_over_open_the_next_day() -> None:
    hours = Hours.parse("02:10-02:50 Europe/Berlin")  # on 29 March 2026 two o'clock is three o'clock
    assert hours.opening(berlin("2026-03-29T01:00+01:00")) == berlin("2026-03-30T02:10+02:00")


@given(HOURS, MOMENTS)
def test_the_opening_lies_within_the_hours_and_never_before(hours: Hours, at: datetime) -> None:
    opens = hours.opening(at)
    assert at <= opens <= at + timedelta(days=2)
    assert hours.opening(opens) == opens


@given(HOURS)
def test_hours_are_read_as_they_are_written(hours: Hours) -> None:
    assert Hours.parse(str(hours)) == hours


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("by night", "is not a range of hours"),
        ("20:00-25:00", "is not a range of hours"),
        ("20:00-20:00", "begins when it ends"),
        ("20:00-06:00 Europe/Atlantis", "is not a time zone"),
        ("20:00-06:00 ../../etc/passwd", "is not a time zone"),
    ],
)
def test_what_names_no_hours_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Hours.parse(text)
