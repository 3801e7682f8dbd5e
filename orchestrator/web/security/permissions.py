"""What a visitor must be allowed to do before a route answers; every route declares exactly one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import Any

from fastapi import Depends, HTTPException, Request
from starlette.routing import BaseRoute


class Permission(StrEnum):
    """PUBLIC needs no login, ever: health checks and the style sheet."""

    PUBLIC = "public"
    SEE = "see results"
    REVIEW = "give verdicts"
    OPERATE = "retry and cancel jobs, and decide about the quarantine"
    STORE = "store images"


May = Callable[[Request, Permission], bool]
"""Says whether this request may do that."""


def anyone(_request: Request, _permission: Permission) -> bool:
    """Return True: until login exists the server listens on loopback only (see server.py)."""
    return True


class Needs:
    """A dependency that refuses a request (403) which lacks the permission."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    def __call__(self, request: Request) -> None:
        """Return where the request may be answered; raises HTTPException otherwise."""
        if not request.app.state.site.may(request, self.permission):
            raise HTTPException(403, f"This needs the permission to {self.permission}.")


def needs(permission: Permission) -> Any:  # Any: what fastapi.Depends itself returns
    """Return the declaration for a route's ``dependencies``."""
    return Depends(Needs(permission))


def declared(routes: Iterable[BaseRoute]) -> dict[str, Permission | None]:
    """Return the permission of each route by its method and path, None where it declares none or several."""
    return {_title(route): _permission(route) for route in _walk(routes)}


def _walk(routes: Iterable[BaseRoute]) -> Iterator[BaseRoute]:
    for route in routes:
        # newer FastAPI keeps an included router as one entry, older copies its routes
        included = getattr(route, "original_router", None)
        if included is None:
            yield route
        else:
            yield from _walk(included.routes)


def _title(route: BaseRoute) -> str:
    methods = getattr(route, "methods", None) or {type(route).__name__}
    return f"{' '.join(sorted(methods))} {getattr(route, 'path', '?')}"


def _permission(route: BaseRoute) -> Permission | None:
    dependencies = getattr(getattr(route, "dependant", None), "dependencies", ())
    found = [each.call.permission for each in dependencies if isinstance(each.call, Needs)]
    return found[0] if len(found) == 1 else None
