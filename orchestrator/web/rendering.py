"""The templates, with the filters and words that they use."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from orchestrator.domain.correction import measured
from orchestrator.domain.job import JobState
from orchestrator.domain.review import ReviewState
from orchestrator.domain.unit import shown_unit
from orchestrator.web import wording
from orchestrator.web.assets import asset_url

# js-default knows no raw HTML and refuses javascript: links; pictures of elsewhere are blocked by the policy anyway
_MARKDOWN = MarkdownIt("js-default").disable("image")


def markdown(text: str) -> Markup:
    """Return Markdown as HTML; HTML inside it is escaped."""
    return Markup(_MARKDOWN.render(text))  # noqa: S704  the renderer escapes everything that is not Markdown


@cache
def environment() -> Environment:
    """Return the template environment; values are escaped and a missing value is an error."""
    templates = Environment(
        loader=PackageLoader("orchestrator.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters.update(
        age=wording.age,
        agreement=wording.agreement,
        by_reader=wording.by_reader,
        change=wording.change,
        confidence=wording.confidence,
        count_of_images=wording.count_of_images,
        delivery=wording.delivery,
        fetch=wording.fetch,
        finding=wording.finding,
        images=wording.images,
        local=wording.local,
        found=wording.found_values,
        markdown=markdown,
        measured=measured,
        measurement=wording.measurement,
        nearest_miss=wording.nearest_miss,
        number=wording.number,
        place=wording.place,
        presence=wording.presence,
        quantity=wording.quantity,
        review_state=wording.review_state,
        sentence=wording.sentence,
        short=wording.short,
        unit=shown_unit,
        wanted=wording.expected_values,
    )
    templates.globals.update(
        AGES=wording.AGES,
        asset=asset_url,
        JobState=JobState,
        ORDERS=wording.ORDERS,
        PRIORITY=wording.PRIORITY,
        PURPOSE=wording.PURPOSE,
        REASONS=wording.REASONS,
        REVIEW=wording.REVIEW,
        ReviewState=ReviewState,
        URGENCY=wording.URGENCY,
        WARNINGS=wording.WARNINGS,
    )
    return templates
