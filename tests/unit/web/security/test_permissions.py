"""Every route says what its visitor must be allowed to do."""

from __future__ import annotations

import pytest
from fastapi import APIRouter, FastAPI

from orchestrator.web import Permission, create_app
from orchestrator.web.security.permissions import declared, needs
from tests.data.reading_room import Drawings, ReadingRoom


def test_every_route_declares_one_permission(app: FastAPI):
    routes = declared(app.routes)
    assert len(routes) >= 14
    assert [route for route, permission in routes.items() if permission is None] == []


def test_a_route_without_a_permission_is_found(app: FastAPI):
    stray = APIRouter()
    stray.get("/stray")(lambda: "seen by anyone")
    app.include_router(stray)
    assert declared(app.routes)["GET /stray"] is None


def test_a_route_with_two_permissions_counts_as_undeclared():
    app = FastAPI(openapi_url=None)
    app.get("/both", dependencies=[needs(Permission.SEE), needs(Permission.PUBLIC)])(lambda: "")
    assert declared(app.routes)["GET /both"] is None


def test_changes_need_more_than_seeing(app: FastAPI):
    posts = {route: permission for route, permission in declared(app.routes).items() if route.startswith("POST")}
    assert set(posts.values()) == {Permission.REVIEW, Permission.OPERATE, Permission.STORE}


@pytest.mark.parametrize(
    ("path", "denied"),
    [
        ("/", Permission.SEE),
        ("/jobs", Permission.SEE),
        ("/series", Permission.SEE),
        ("/results/abcdef", Permission.SEE),
        ("/results/abcdef/thumbnail.png", Permission.SEE),
        ("/events", Permission.SEE),
    ],
)
def test_a_visitor_without_the_permission_is_refused(room: ReadingRoom, visitor, path, denied):
    visitor.app = create_app(
        room.ledger, pictures=Drawings(), models={}, may=lambda _, permission: permission != denied
    )
    assert visitor.get(path).status_code == 403


def test_a_viewer_gives_no_verdict(room: ReadingRoom, visitor):
    room.result("brain")
    visitor.app = create_app(room.ledger, pictures=Drawings(), models={}, may=lambda _, asked: asked == Permission.SEE)
    form = {"seen": "pending", "verdict": "accepted", "by": "Ada", "organization": "St. Anna"}
    assert visitor.post(f"/results/{room.keys['brain']}/verdict", data=form).status_code == 403
    assert room.ledger.reviews.newest(room.keys["brain"]).state == "pending"


def test_health_needs_no_permission(room: ReadingRoom, visitor):
    visitor.app = create_app(
        room.ledger, pictures=Drawings(), models={}, may=lambda _, asked: asked == Permission.PUBLIC
    )
    assert visitor.get("/healthz").status_code == 200
    assert visitor.get("/readyz").json() == {"ready": True, "faults": {}}
