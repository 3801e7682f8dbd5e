"""The web application, put together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType

from fastapi import FastAPI

from orchestrator.domain.errors import ForbiddenTransition
from orchestrator.domain.reading import ONE_READER, Reading
from orchestrator.domain.records import ReviewRecord
from orchestrator.ledger import Ledger
from orchestrator.web import assets
from orchestrator.web.dicomweb import ohif_pages, proxy, stow
from orchestrator.web.ohif import Ohif
from orchestrator.web.operations import arrivals, health, jobs
from orchestrator.web.pictures import Gallery, Pictures
from orchestrator.web.reading import live, result, verdict, viewer, worklist
from orchestrator.web.refusals import refusal, show_refusals
from orchestrator.web.rendering import environment
from orchestrator.web.security.guards import LOOPBACK, Guards
from orchestrator.web.security.permissions import May, anyone
from orchestrator.web.site import ModelCardText, OnReview, Order, Site, Take

PAGES = (worklist, result, viewer, verdict, jobs, arrivals, live, stow, assets, health, proxy, ohif_pages)


def create_app(
    ledger: Ledger,
    *,
    pictures: Pictures,
    models: Mapping[str, ModelCardText],
    retry: Order | None = None,
    cancel: Order | None = None,
    on_review: OnReview | None = None,
    reading: Reading = ONE_READER,
    take: Take | None = None,
    ohif_viewer: Ohif | None = None,
    archives: Mapping[str, bool] = MappingProxyType({}),
    ready: Callable[[], Mapping[str, str]] = dict,
    may: May = anyone,
    hosts: Collection[str] = LOOPBACK,
) -> FastAPI:
    """Return the pages over this ledger.

    retry, cancel: take (job key, who asked); without them the pages refuse these orders.
    on_review: takes the verdict before and after, once it is in the ledger.
    reading: whether a second person must judge too, and what they see of the first verdict.
    take: takes the images of a STOW-RS request; without it such requests find nothing here.
    ohif_viewer: OHIF, on the same origin; without it no page leads there.
    archives: name of each archive in the settings -> whether it is watched.
    ready: names each part that cannot work now, and why.
    may: says what a request may do; anyone may do anything until login exists, on loopback only.
    hosts: the names under which this server may be addressed.
    """
    site = Site(
        ledger=ledger,
        gallery=Gallery(pictures),
        models=models,
        may=may,
        retry=retry or _refused,
        cancel=cancel or _refused,
        on_review=on_review or _untold,
        reading=reading,
        take=take,
        ohif=ohif_viewer,
        archives=archives,
        ready=ready,
        templates=environment(),
    )
    # no schema and no documentation pages: they load scripts from elsewhere
    app = FastAPI(title="orchestrator", openapi_url=None, docs_url=None, redoc_url=None)
    app.state.site = site
    for page in PAGES:
        app.include_router(page.router)
    show_refusals(app, site)
    app.add_middleware(Guards, hosts=hosts, refuse=lambda status, text: refusal(site, status, text))
    return app


def _refused(_job_key: str, _by: str) -> None:
    raise ForbiddenTransition("jobs cannot be changed from this page here")


def _untold(_before: ReviewRecord, _after: ReviewRecord) -> None:
    """Tell nobody."""
