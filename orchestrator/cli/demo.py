"""``orchestrator demo``: see the whole path work."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.app.batch.outcome import Outcome
from orchestrator.app.demo.demo import Demo, demo
from orchestrator.app.demo.with_orthanc import archive_demo
from orchestrator.app.installation.settings import settings_of
from orchestrator.app.service import web
from orchestrator.app.service.shutdown import Stop
from orchestrator.cli.run import show, show_progress
from orchestrator.cli.show import SettingsFile, console
from orchestrator.config import Settings
from orchestrator.domain.records import ObjectRecord
from orchestrator.web import serve as serve_pages


class ArchiveKind(StrEnum):
    """Where the demo keeps images and results."""

    FOLDER = "folder"
    ORTHANC = "orthanc"


def command(
    output: Annotated[Path, typer.Option(help="Folder for images, results and the page.")] = Path("demo-output"),
    archive: Annotated[
        ArchiveKind, typer.Option(help="Which archive holds images and results: a folder, or an Orthanc of its own.")
    ] = ArchiveKind.FOLDER,
    once: Annotated[bool, typer.Option("--once", help="End when the page is written; show no review page.")] = False,
    settings: SettingsFile = None,
) -> None:
    """Run real anatomy through the whole path and show each result over its image."""
    if archive is ArchiveKind.ORTHANC:
        _with_orthanc(output, settings_of(settings), once)
        return
    shown = show_progress(lambda progress: demo(output, settings_of(settings), _say, progress))
    _tell(shown, lambda item: Outcome.path_of(item, output / "results"))
    if once:
        raise typer.Exit(1 if shown.report.failed else 0)
    with web.opened(shown.settings) as app:
        console.print(f"\nreview page: http://localhost:{shown.settings.web.port}/   (Ctrl-C ends)", style="bold")
        serve_pages(app, host=shown.settings.web.host, port=shown.settings.web.port)


def _with_orthanc(output: Path, settings: Settings, once: bool) -> None:
    """Show the same against a real archive: watched by its changes, results stored there and read back."""
    with ExitStack() as stack:
        shown, orthanc = show_progress(
            lambda progress: stack.enter_context(archive_demo(output, settings, _say, progress))
        )
        _tell(shown, lambda item: item.path)
        console.print(f"the archive, with images and results: {orthanc.http}", markup=False)
        if once:
            raise typer.Exit(1 if shown.report.failed else 0)
        console.print(f"\nreview page: http://localhost:{settings.web.port}/   (Ctrl-C ends)", style="bold")
        stopped = Stop()
        while not stopped.wait(1.0):
            pass


def _say(line: str) -> None:
    console.print(line, markup=False)


def _tell(shown: Demo, place: Callable[[ObjectRecord], Path]) -> None:
    show(shown.report)
    for item in shown.report.outcomes:
        console.print(f"\n{item.modality} -> {item.model or 'no model'}", style="bold", markup=False)
        if item.rule:
            console.print(f"  rule {item.rule!r} fired: {item.why}", markup=False, soft_wrap=True)
        for written in item.objects:
            console.print(f"  {written.kind}: {place(written)}", markup=False, soft_wrap=True)
    console.print(f"\neach result over its image: {shown.page.resolve().as_uri()}", markup=False, soft_wrap=True)
