"""``orchestrator demo``: processes sample images and shows the results."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.app.batch.outcome import Outcome
from orchestrator.app.demo.demo import Demo, demo
from orchestrator.app.demo.with_orthanc import run_with_orthanc
from orchestrator.app.installation.settings import settings_of
from orchestrator.app.service.shutdown import Stop
from orchestrator.app.service.web import open_pages
from orchestrator.cli.run import show, show_progress
from orchestrator.cli.show import SettingsFile, console
from orchestrator.config import Settings
from orchestrator.domain.records import ObjectRecord
from orchestrator.web import serve as serve_pages


class ArchiveKind(StrEnum):
    """Archive of images and results."""

    FOLDER = "folder"
    ORTHANC = "orthanc"


def command(
    output: Annotated[Path, typer.Option(help="Folder for images, results and the page.")] = Path("demo-output"),
    archive: Annotated[
        ArchiveKind, typer.Option(help="Archive for images and results: a folder, or an Orthanc that the demo starts.")
    ] = ArchiveKind.FOLDER,
    once: Annotated[
        bool, typer.Option("--once", help="Exit when the page is written; do not start the review page.")
    ] = False,
    settings: SettingsFile = None,
) -> None:
    """Process sample images of real anatomy and show each result over its image."""
    if archive is ArchiveKind.ORTHANC:
        _with_orthanc(output, settings_of(settings), once)
        return
    outcome = show_progress(lambda progress: demo(output, settings_of(settings), _say, progress))
    _print(outcome, lambda item: Outcome.path_of(item, output / "results"))
    if once:
        raise typer.Exit(1 if outcome.report.failed else 0)
    with open_pages(outcome.settings) as app:
        console.print(f"\nreview page: http://localhost:{outcome.settings.web.port}/   (Ctrl-C stops)", style="bold")
        serve_pages(app, host=outcome.settings.web.host, port=outcome.settings.web.port)


def _with_orthanc(output: Path, settings: Settings, once: bool) -> None:
    """Run the demo with an Orthanc: the service watches it and stores the results there."""
    with ExitStack() as stack:
        outcome, orthanc = show_progress(
            lambda progress: stack.enter_context(run_with_orthanc(output, settings, _say, progress))
        )
        _print(outcome, lambda item: item.path)
        console.print(f"archive with images and results: {orthanc.http}", markup=False)
        if once:
            raise typer.Exit(1 if outcome.report.failed else 0)
        console.print(f"\nreview page: http://localhost:{settings.web.port}/   (Ctrl-C stops)", style="bold")
        stop = Stop()
        while not stop.wait(1.0):
            pass


def _say(line: str) -> None:
    console.print(line, markup=False)


def _print(outcome: Demo, place: Callable[[ObjectRecord], Path]) -> None:
    show(outcome.report)
    for item in outcome.report.outcomes:
        console.print(f"\n{item.modality} -> {item.model or 'no model'}", style="bold", markup=False)
        if item.rule:
            console.print(f"  rule {item.rule!r} matched: {item.why}", markup=False, soft_wrap=True)
        for each in item.objects:
            console.print(f"  {each.kind}: {place(each)}", markup=False, soft_wrap=True)
    console.print(f"\nall results over their images: {outcome.page.resolve().as_uri()}", markup=False, soft_wrap=True)
