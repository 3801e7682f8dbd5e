"""Serves style sheet, scripts and icon; each address holds a digest of the content."""

from __future__ import annotations

import hashlib
import mimetypes
from functools import cache
from importlib import resources

from fastapi import APIRouter, HTTPException, Response

from orchestrator.web.security.permissions import Permission, needs

router = APIRouter()


@cache
def _assets() -> dict[str, bytes]:
    folder = resources.files("orchestrator.web") / "static"
    return {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.is_file()}


@cache
def asset_url(name: str) -> str:
    """Return the address of a packaged file; the address changes with the content."""
    return f"/static/{name}?v={hashlib.sha256(_assets()[name]).hexdigest()[:12]}"


@router.get("/static/{name}", dependencies=[needs(Permission.PUBLIC)])
def asset(name: str) -> Response:
    """Return one packaged file; any other name is 404."""
    if name not in _assets():
        raise HTTPException(404)
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    # modules import each other without a version: revalidated, never stale
    return Response(_assets()[name], media_type=kind, headers={"Cache-Control": "no-cache"})
