"""``orchestrator demo``: processes sample series of real anatomy and writes one page with the results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from orchestrator.app.batch import run
from orchestrator.app.batch.outcome import STAGES, Outcome
from orchestrator.app.demo.samples import write_samples
from orchestrator.app.installation.connections import start_workers
from orchestrator.app.models import try_out
from orchestrator.config import Settings
from orchestrator.domain.records import ObjectRecord
from orchestrator.domain.unit import shown_unit
from orchestrator.ledger import Ledger
from orchestrator.rules import default_rules
from orchestrator.worker import pull

Say = Callable[[str], None]
Place = Callable[[ObjectRecord], Path]
PICTURE_PIXELS = 640


@dataclass(frozen=True, slots=True)
class Demo:
    """A finished demo. settings: those of its service, with its ledger."""

    report: run.RunReport
    page: Path
    settings: Settings


@dataclass(frozen=True, slots=True)
class Card:
    """One result on the page. picture: path below the folder of the page, empty if the result has no objects."""

    outcome: Outcome
    picture: str
    legend: tuple[tuple[str, str, str], ...]
    files: tuple[tuple[str, str], ...]


def demo(output: Path, settings: Settings, say: Say, progress: Callable[[run.Progress], None]) -> Demo:
    """Download weights and samples, process the samples, and write the page.

    Raises PackageError if a download fails.
    """
    prepare(output, settings, say)
    report = run.run(output / "archive", output / "results", settings, progress=progress)
    effective = run.settings_for(output / "results", settings)
    with closing(Ledger.open(effective.data.database)) as ledger:
        page = write_page(ledger, report, output, lambda item: Outcome.path_of(item, Path("results")))
    return Demo(report, page, effective)


def prepare(output: Path, settings: Settings, say: Say) -> None:
    """Download weights, and write the sample images below ``output/archive``.

    Raises PackageError if a download fails.
    """
    output.mkdir(parents=True, exist_ok=True)
    _pull(settings, say)
    say("writing sample images: real anatomy, synthetic headers")
    write_samples(output / "archive", say)


def write_page(ledger: Ledger, report: run.RunReport, output: Path, place: Place) -> Path:
    """Write the page, with each result drawn over its image, and return its path.

    place: returns the path of an object, relative to the page.
    """
    cards = tuple(_cards(ledger, report, output, place))
    page = output / "index.html"
    page.write_text(render(report, cards), encoding="utf-8")
    return page


def _pull(settings: Settings, say: Say) -> None:
    names = {name for rule in default_rules().rules for name in rule.models}
    with closing(start_workers(settings)) as workers:
        for name in sorted(names & set(workers.models())):
            pull(workers.catalogue_entry(name), settings.models.weights, say)


def _cards(ledger: Ledger, report: run.RunReport, output: Path, place: Place) -> Iterator[Card]:
    (output / "pictures").mkdir(exist_ok=True)
    for item in report.outcomes:
        picture, legend = "", tuple[tuple[str, str, str], ...]()
        if item.objects:
            overlay = try_out.overlay_of(ledger, item)
            picture = f"pictures/{item.model}-{item.series}.png"
            (output / picture).write_bytes(overlay.png(overlay.best_slice, size=PICTURE_PIXELS))
            legend = tuple(
                (entry.label, "#{:02x}{:02x}{:02x}".format(*entry.colours[-1]), entry.description)
                for entry in overlay.legend
            )
        files = tuple((each.kind.value, str(place(each))) for each in item.objects)
        yield Card(item, picture, legend, files)


def render(report: run.RunReport, cards: tuple[Card, ...]) -> str:
    """Return the page as HTML."""
    loader = PackageLoader("orchestrator.app", "templates")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    environment.filters["unit"] = shown_unit
    time = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
    return environment.get_template("demo.html").render(report=report, cards=cards, time=time, stages=STAGES)
