"""The reviewer's name: typed with each verdict, remembered by the browser for a working day."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, unquote

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, ValidationError

from orchestrator.web.addresses import Name

COOKIE = "orchestrator-reviewer"
WORKING_DAY_SECONDS = 12 * 3600


class Reviewer(BaseModel):
    """A person and where they work; a convenience of the form, not a login."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    by: Name
    organization: Name


@dataclass(frozen=True, slots=True)
class Remembered:
    """What the form shows at first; empty where nobody is remembered."""

    by: str = ""
    organization: str = ""


def remembered(request: Request) -> Remembered:
    """Return the reviewer of the last verdict in this browser; empty where the cookie is missing or foreign."""
    by, _, organization = request.cookies.get(COOKIE, "").partition("|")
    try:
        reviewer = Reviewer(by=unquote(by), organization=unquote(organization))
    except ValidationError:
        return Remembered()
    return Remembered(reviewer.by, reviewer.organization)


def remember(answer: Response, reviewer: Reviewer) -> None:
    """Let the browser remember the reviewer for a working day."""
    answer.set_cookie(
        COOKIE,
        f"{quote(reviewer.by, safe='')}|{quote(reviewer.organization, safe='')}",
        max_age=WORKING_DAY_SECONDS,
        httponly=True,
        samesite="strict",
    )
