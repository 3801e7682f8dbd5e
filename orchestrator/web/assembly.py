"""Assembles the web application from its pages."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType

from fastapi import FastAPI

from orchestrator.domain.errors import ForbiddenTransition
from orchestrator.domain.reading import ONE_READER, ReadingPolicy
from orchestrator.ledger import Ledger
from orchestrator.pipeline.review.verdict import ReviewChanged
from orchestrator.web import assets
from orchestrator.web.dicomweb import ohif_pages, proxy, stow
from orchestrator.web.ohif import Ohif
from orchestrator.web.operations import arrivals, health, jobs, quarantine
from orchestrator.web.pictures import Gallery, Pictures
from orchestrator.web.reading import live, result, verdict, viewer, worklist
from orchestrator.web.refusals import refusal, show_refusals
from orchestrator.web.rendering import environment
from orchestrator.web.security.guards import LOOPBACK, Guards
from orchestrator.web.security.permissions import May, anyone
from orchestrator.web.site import ModelCardText, Order, Site, Take

PAGES = (worklist, result, viewer, verdict, jobs, arrivals, quarantine, live, stow, assets, health, proxy, ohif_pages)


def create_app(
    ledger: Ledger,
    *,
    pictures: Pictures,
    models: Mapping[str, ModelCardText],
    retry: Order | None = None,
    cancel: Order | None = None,
    review_changed: ReviewChanged | None = None,
    reading: ReadingPolicy = ONE_READER,
    take: Take | None = None,
    ohif_viewer: Ohif | None = None,
    archives: Mapping[str, bool] = MappingProxyType({}),
    ready: Callable[[], Mapping[str, str]] = dict,
    may: May = anyone,
    hosts: Collection[str] = LOOPBACK,
) -> FastAPI:
    """Return the pages over this ledger.

    retry, cancel: take (job key, name of the person); without them the pages refuse these requests.
    review_changed: takes the job and its review before and after, once the ledger has the new one.
    reading: whether a second reader is needed, and what that reader sees of the first verdict.
    take: stores the images of a STOW-RS request; without it such requests get 404.
    ohif_viewer: OHIF on the same origin; without it no page links to it.
    archives: name of each archive in the settings -> whether it is watched.
    ready: name of each part that cannot work now -> reason.
    may: decides what a request may do; until login exists anyone may do anything, on loopback only.
    hosts: the names under which this server may be addressed.
    """
    site = Site(
        ledger=ledger,
        gallery=Gallery(pictures),
        models=models,
        may=may,
        retry=retry or _refused,
        cancel=cancel or _refused,
        review_changed=review_changed or (lambda *_: None),
        reading=reading,
        take=take,
        ohif=ohif_viewer,
        archives=archives,
        ready=ready,
        templates=environment(),
    )
    # no schema and no documentation pages: they load scripts from other sites
    routes = [route for page in PAGES for route in page.router.routes]
    app = FastAPI(title="orchestrator", routes=routes, openapi_url=None, docs_url=None, redoc_url=None)
    app.state.site = site
    show_refusals(app, site)
    app.add_middleware(Guards, hosts=hosts, refuse=lambda status, text: refusal(site, status, text))
    return app


def _refused(_job_key: str, _by: str) -> None:
    raise ForbiddenTransition("this page cannot change jobs; use: orchestrator jobs retry or cancel")
