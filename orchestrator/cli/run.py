"""``orchestrator run``: runs models on a folder of DICOM files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from orchestrator.app.batch import run as running
from orchestrator.app.batch.outcome import Outcome
from orchestrator.app.batch.run import Progress as Step
from orchestrator.app.batch.run import RunReport
from orchestrator.app.installation.settings import settings_of
from orchestrator.cli.show import SettingsFile, check_report, console, errors, finding_text, table, write_report

T = TypeVar("T")


def command(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="Folder with DICOM files, at any depth.")],
    output: Annotated[Path, typer.Argument(help="Folder for results: OUTPUT/StudyUID/SeriesUID/SOPUID.dcm.")],
    rules: Annotated[Path | None, typer.Option(help="Rules file instead of the shipped rules.")] = None,
    models: Annotated[list[Path] | None, typer.Option(help="Folder of models; may be repeated.")] = None,
    plugins: Annotated[list[Path] | None, typer.Option(help="Folder of plugin files; may be repeated.")] = None,
    json: Annotated[Path | None, typer.Option("--json", help="Write the outcomes to this JSON file.")] = None,
    settings: SettingsFile = None,
) -> None:
    """Run the rules and models once on every series of a folder."""
    check_report(json)
    effective = running.with_folders(settings_of(settings), rules=rules, models=models or (), plugins=plugins or ())
    report = show_progress(lambda progress: running.run(source, output, effective, progress=progress))
    show(report)
    write_report(json, [item.to_json(output) for item in report.outcomes])
    raise typer.Exit(1 if report.failed else 0)


def show_progress(work: Callable[[Callable[[Step], None]], T]) -> T:
    """Return the result of the work and show its progress meanwhile."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True) as bar:
        task = bar.add_task("reading headers", total=None)

        def progress(step: Step) -> None:
            running = f", running {', '.join(step.running)}" if step.running else ""
            text = f"{step.series} series, {step.ended} of {step.jobs} jobs ended{running}"
            bar.update(task, description=text, total=step.jobs, completed=step.ended)

        return work(progress)


def show(report: RunReport) -> None:
    """Print one line for each series and model, and the files that could not be read."""
    table(
        ["series", "rule", "model", "outcome", "result or reason"],
        [
            (
                " ".join(filter(None, [item.modality, ", ".join(item.images.views), f"…{item.series[-12:]}"])),
                item.rule or "-",
                item.model or "-",
                item.outcome,
                _result_or_reason(item),
            )
            for item in report.outcomes
        ],
        empty="no DICOM series was found",
    )
    for file in report.unread[:20]:
        console.print(f"not read: {file.path.parent}/{file.reason}", markup=False, soft_wrap=True)
    if len(report.unread) > 20:
        console.print(f"and {len(report.unread) - 20} more files were not read")
    count = len(report.outcomes)
    console.print(f"{count} outcome{'s' * (count != 1)} in {report.seconds:.1f} s")


def _result_or_reason(item: Outcome) -> str:
    """Return the result with the number of images that the model read, where it left some out."""
    if item.reason or not item.images.left_out:
        return item.reason or finding_text(item.findings, item.measurements)
    count = f"read {item.images.read} of {item.images.received} received"
    return "; ".join(filter(None, [finding_text(item.findings, item.measurements), count]))
