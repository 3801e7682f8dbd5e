"""Filters, order and page of the worklist; they are part of the address, so that a view can be a bookmark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

from fastapi import Depends, Query

from orchestrator.domain.result import Urgency
from orchestrator.domain.review import ReviewState
from orchestrator.domain.worklist import Order, ResultFilter

ALL: Final = "all"
NONE: Final = "none"
StateFilter = ReviewState | Literal["all"]
UrgencyFilter = Urgency | Literal["all", "none"]


class Age(StrEnum):
    """How old a result may be."""

    ANY = "any"
    DAY = "day"
    WEEK = "week"


_YOUNGER: Mapping[Age, timedelta] = {Age.DAY: timedelta(days=1), Age.WEEK: timedelta(days=7)}


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Filters, order and page (from 1) of the worklist."""

    state: StateFilter = ReviewState.PENDING
    urgency: UrgencyFilter = "all"
    model: str = ""
    age: Age = Age.ANY
    sort: Order = Order.URGENCY
    page: int = 1

    def wanted(self, now: datetime) -> ResultFilter:
        """Return the filters as the ledger takes them."""
        return ResultFilter(
            states=frozenset() if self.state == ALL else frozenset({ReviewState(self.state)}),
            model=self.model,
            urgencies=self._urgencies(),
            since=now - _YOUNGER[self.age] if self.age in _YOUNGER else None,
        )

    @property
    def narrowed(self) -> bool:
        """Whether anything but the state leaves results out."""
        return bool(self.model) or self.urgency != ALL or self.age is not Age.ANY

    def query(self, **changes: Any) -> str:
        """Return the query string of this view with some changes, ``""`` for the default view.

        A change of anything but the page leads to the first page.
        """
        values = asdict(self) | {"page": 1} | changes
        parameters = {each.name: values[each.name] for each in fields(self) if values[each.name] != each.default}
        return f"?{urlencode(parameters)}" if parameters else ""

    def _urgencies(self) -> frozenset[Urgency | None]:
        if self.urgency == ALL:
            return frozenset()
        return frozenset({None if self.urgency == NONE else Urgency(self.urgency)})


def _view(
    state: StateFilter = ReviewState.PENDING,
    urgency: UrgencyFilter = "all",
    model: Annotated[str, Query(max_length=128)] = "",
    age: Age = Age.ANY,
    sort: Order = Order.URGENCY,
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
) -> View:
    return View(state=state, urgency=urgency, model=model, age=age, sort=sort, page=page)


ViewOf = Annotated[View, Depends(_view)]
