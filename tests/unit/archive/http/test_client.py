"""The time that an archive's answer tells."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from orchestrator.archive.http.client import http_date

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("Tue, 24 Nov 2026 12:00:00 GMT", NOON),
        ("Tue, 24 Nov 2026 12:00:00 -0000", NOON),
        ("Tue, 24 Nov 2026 13:00:00 +0100", NOON),
        ("", None),
        ("soon", None),
        ("Tue, 99 Nov 2026 12:00:00 GMT", None),
    ],
)
def test_a_moment_has_its_zone_and_what_names_none_is_none(text: str, moment: datetime | None) -> None:
    assert http_date(text) == moment
