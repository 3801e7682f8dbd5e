"""``orchestrator demo``: see the whole path work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.app import pages
from orchestrator.app.choice import settings_of
from orchestrator.app.demo import Demo, demo
from orchestrator.cli.run import show, watched
from orchestrator.cli.show import SettingsFile, console
from orchestrator.web import serve as serve_pages


def command(
    output: Annotated[Path, typer.Option(help="Folder for images, results and the page.")] = Path("demo-output"),
    once: Annotated[bool, typer.Option("--once", help="End when the page is written; show no review page.")] = False,
    settings: SettingsFile = None,
) -> None:
    """Run real anatomy through the whole path and show each result over its image."""
    shown = watched(lambda progress: demo(output, settings_of(settings), _say, progress))
    show(shown.report)
    _tell(shown)
    if once:
        raise typer.Exit(1 if shown.report.failed else 0)
    with pages.opened(shown.settings) as app:
        console.print(f"\nreview page: http://localhost:{shown.settings.web.port}/   (Ctrl-C ends)", style="bold")
        serve_pages(app, host=shown.settings.web.host, port=shown.settings.web.port)


def _say(line: str) -> None:
    console.print(line, markup=False)


def _tell(shown: Demo) -> None:
    results = shown.page.parent / "results"
    for item in shown.report.outcomes:
        console.print(f"\n{item.modality} -> {item.model or 'no model'}", style="bold", markup=False)
        if item.rule:
            console.print(f"  rule {item.rule!r} fired: {item.why}", markup=False, soft_wrap=True)
        for written in item.objects:
            console.print(f"  {written.kind}: {item.path_of(written, results)}", markup=False, soft_wrap=True)
    console.print(f"\neach result over its image: {shown.page.resolve().as_uri()}", markup=False, soft_wrap=True)
