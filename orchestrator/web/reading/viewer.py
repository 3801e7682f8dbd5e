"""The pictures of a result: thumbnails, slices, and the facts that the page shows with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, HTTPException, Path, Query
from fastapi.responses import RedirectResponse, Response

from orchestrator.web.addresses import Key
from orchestrator.web.assets import asset_url
from orchestrator.web.pictures import NoPicture
from orchestrator.web.reading.worklist import picture_version
from orchestrator.web.security.permissions import Permission, needs
from orchestrator.web.site import Site, SiteOf

if TYPE_CHECKING:  # drawing needs highdicom, which takes seconds to load
    from orchestrator.dicom import LegendEntry, Overlay

router = APIRouter(dependencies=[needs(Permission.SEE)])

PRESETS: Mapping[str, tuple[tuple[str, float, float], ...]] = {
    "CT": (
        ("Brain", 40, 80),
        ("Stroke", 35, 40),
        ("Subdural", 75, 215),
        ("Soft tissue", 50, 400),
        ("Lung", -600, 1500),
        ("Bone", 500, 2000),
    )
}
"""Usual window centre and width in HU; values of other modalities do not compare across scanners."""

Version = Annotated[str, Query(pattern=r"^[0-9a-f]{0,16}$")]
Entry = Annotated[str, Query(pattern=r"^((findings|measurements)/\d{1,5})?$")]
"""A finding or a measurement of a result, by its place in it."""
Slice = Annotated[int, Path(ge=0, le=100_000)]


@dataclass(frozen=True, slots=True)
class Viewing:
    """Facts about the pictures of a result; slices count from 0, ``start`` is shown first.

    window: (centre, width) of the slice shown first, None where a window makes no sense.
    maps: names of the maps, of which one is drawn at a time.
    names: of each slice, as a PACS names the image.
    spots: the slice of each finding and measurement that has a place. spot: the one that is marked at first.
    """

    slices: int
    names: tuple[str, ...]
    best_slice: int
    start: int
    window: tuple[float, float] | None
    legend: tuple[LegendEntry, ...]
    maps: tuple[str, ...]
    version: str
    spots: Mapping[str, int]
    spot: str

    def name(self, index: int) -> str:
        """Return the name of a slice; where the image has no number, its place among the slices."""
        return self.names[index] or f"slice {index + 1}"


def viewing(site: Site, job_key: str, start: int | None, spot: str = "") -> Viewing | None:
    """Return the facts about the pictures, None where there are no pictures."""
    version = picture_version(site, job_key)

    def look(overlay: Overlay) -> Viewing:
        spots = {entry: spot_place.slice for entry, spot_place in overlay.spots.items()}
        first = min(spots.get(spot, overlay.best_slice) if start is None else start, overlay.slices - 1)
        return Viewing(
            slices=overlay.slices,
            names=overlay.names,
            best_slice=overlay.best_slice,
            start=first,
            window=overlay.window(first),
            legend=tuple(overlay.legend),
            maps=tuple(overlay.map_names),
            version=version,
            spots=spots,
            spot=spot if spot in spots else "",
        )

    try:
        return site.gallery.see(job_key, version, look)
    except NoPicture:
        return None


@router.get("/results/{key}/thumbnail.png")
def thumbnail(site: SiteOf, key: Key, v: Version = "") -> Response:
    """Return the best slice as a small PNG; a placeholder drawing where there is no picture."""
    job = site.ledger.jobs.get(key)
    version = picture_version(site, job.key)
    try:
        return _png(site.gallery.thumbnail(job.key, version), kept=v == version)
    except NoPicture:
        return RedirectResponse(asset_url("no-picture.svg"), 307)


@router.get("/results/{key}/slices/{index}.png")
def picture(
    site: SiteOf,
    key: Key,
    index: Slice,
    v: Version = "",
    opacity: Annotated[int, Query(ge=0, le=100)] = 45,
    outline: bool = True,
    centre: Annotated[float | None, Query(ge=-100_000, le=100_000)] = None,
    width: Annotated[float | None, Query(gt=0, le=200_000)] = None,
    size: Annotated[int | None, Query(ge=64, le=1024)] = None,
    spot: Entry = "",
    chosen_map: Annotated[int, Query(alias="map", ge=0, le=1000)] = 0,
) -> Response:
    """Return one slice as PNG; opacity in percent, centre and width in the image's unit, size in pixels."""
    job = site.ledger.jobs.get(key)
    version = picture_version(site, job.key)
    window = None if centre is None or width is None else (centre, width)

    def look(overlay: Overlay) -> bytes:
        if index >= overlay.slices:
            raise HTTPException(404, f"This result has {overlay.slices} slices.")
        return overlay.png(
            index,
            opacity=opacity / 100,
            outline=outline,
            window=window,
            size=size,
            spot=spot,
            chosen_map=chosen_map,
        )

    try:
        return _png(site.gallery.see(job.key, version, look), kept=v == version)
    except NoPicture as fault:
        raise HTTPException(404, "This picture cannot be drawn: its files are gone or broken.") from fault


def _png(drawn: bytes, *, kept: bool) -> Response:
    """Return the response; the browser may cache it where the address names the version of the objects."""
    headers = {"Cache-Control": "private, max-age=3600, immutable"} if kept else {}
    return Response(drawn, media_type="image/png", headers=headers)
