"""What all pages share: the ledger, the pictures, and who is notified of a visitor's actions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment

from orchestrator.archive import StowResult
from orchestrator.domain.model import ModelDescription
from orchestrator.domain.reading import ReadingPolicy
from orchestrator.domain.records import ObjectRecord
from orchestrator.ledger import Ledger
from orchestrator.pipeline.review.verdict import ReviewChanged
from orchestrator.web.ohif import Ohif
from orchestrator.web.pictures import Gallery
from orchestrator.web.security.permissions import May
from orchestrator.web.security.uploads import Uploads

Order = Callable[[str, str], object]
"""Takes (job key, name of the person); raises UserError where the job's state forbids it."""
Take = Callable[[Iterable[bytes], str, str, str], Iterable[StowResult]]
"""Takes (body in pieces, its boundary, the only study or empty) of STOW-RS; raises BrokenMultipart."""


@dataclass(frozen=True, slots=True)
class ModelCardText:
    """A model's description, and its model card in Markdown."""

    description: ModelDescription
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The parts that the pages share. ``closing`` is set when the server ends.

    take: stores pushed images, None where STOW-RS is off; uploads: the places for such requests; threads remain for
    the pages. ohif: the viewer beside the pages, None where there is none.
    archives: name of each archive in the settings -> whether it is watched.
    """

    ledger: Ledger
    gallery: Gallery
    models: Mapping[str, ModelCardText]
    may: May
    retry: Order
    cancel: Order
    review_changed: ReviewChanged
    reading: ReadingPolicy
    take: Take | None
    ohif: Ohif | None
    archives: Mapping[str, bool]
    ready: Callable[[], Mapping[str, str]]
    templates: Environment
    uploads: Uploads = field(default_factory=Uploads)
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    def page(self, template: str, *, status: int = 200, **content: Any) -> HTMLResponse:
        """Return the page; every value in it is escaped."""
        now = datetime.now(UTC)
        text = self.templates.get_template(template).render(now=now, in_ohif=self.in_ohif, **content)
        return HTMLResponse(text, status)

    def in_ohif(self, study_uid: str, objects: Iterable[ObjectRecord] = ()) -> str:
        """Return the address of the study in OHIF, opened at these objects; "" where there is no OHIF."""
        return self.ohif.address(study_uid, objects) if self.ohif else ""


def _site(request: Request) -> Site:
    site: Site = request.app.state.site
    return site


SiteOf = Annotated[Site, Depends(_site)]
