"""``orchestrator results``: list and show results, give verdicts, retract."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.app.installation.ledger import job_file, open_ledger
from orchestrator.app.installation.settings import settings_of
from orchestrator.cli.show import (
    JsonFlag,
    SettingsFile,
    as_json,
    console,
    corrected_text,
    deliveries_table,
    errors,
    finding_text,
    table,
)
from orchestrator.domain.records import RetractionRecord, ReviewRecord
from orchestrator.domain.review import RejectReason, ReviewState
from orchestrator.domain.worklist import ResultFilter
from orchestrator.pipeline.review.verdict import ReviewedResult, VerdictRequest

if TYPE_CHECKING:
    from orchestrator.app.operations.retract import RetractedResult

Day = datetime | None
DAYS = ["%Y-%m-%d"]
commands = typer.Typer(help="Results: list, show, accept, reject, retract.", no_args_is_help=True)
Key = Annotated[str, typer.Argument(help="Job key of the result, or its first 6 digits and more.")]
By = Annotated[str, typer.Option("--by", help="Name of the reviewer.")]
Organization = Annotated[str, typer.Option("--organization", help="The reviewer's organisation.")]
Comment = Annotated[
    str, typer.Option(help="Free text for colleagues; needed where two readers disagree. No patient data.")
]
Seen = Annotated[
    ReviewState | None,
    typer.Option(help="State in which you saw the result; refused if it changed since. Default: the state now."),
]
Yes = Annotated[bool, typer.Option("--yes", help="Skip the confirmation prompt.")]


@commands.command("list")
def list_results(
    settings: SettingsFile = None,
    state: Annotated[list[ReviewState] | None, typer.Option(help="Only in this state; may be repeated.")] = None,
    json: JsonFlag = False,
) -> None:
    """Show results: urgent ones first, then the oldest."""
    with open_ledger(settings) as ledger:
        results = ledger.results.search(ResultFilter(states=frozenset(state or ())))
    if json:
        as_json([{"job": job, "review": review} for job, review in results])
        return
    table(
        ["key", "review", "urgency", "model", "views", "result", "created"],
        [
            (
                job.key[:12],
                review.state,
                job.urgency,
                f"{job.model} {job.model_version}",
                job.views,
                finding_text(job.findings, job.measurements),
                job.created_at,
            )
            for job, review in results
        ],
        empty="no results",
    )


@commands.command()
def show(key: Key, settings: SettingsFile = None, json: JsonFlag = False) -> None:
    """Show one result with its findings, objects, deliveries and verdicts."""
    with open_ledger(settings) as ledger:
        file = job_file(ledger, key)
    if json:
        as_json(file)
        return
    console.print(f"[bold]{file.job.model} {file.job.model_version}[/bold] - AI result, not verified")
    if file.job.views:
        console.print(f"Side and view: {file.job.views}", markup=False)
    console.print(finding_text(file.job.findings, file.job.measurements), markup=False)
    table(["kind", "object", "file"], [(item.kind, item.sop_uid, item.path) for item in file.objects])
    deliveries_table(file.deliveries, file.notes)
    table(
        ["when", "verdict", "by", "organisation", "from", "reason", "corrected", "comment"],
        [(r.at, r.state, r.by, r.organization, r.source, r.reason, corrected_text(r), r.comment) for r in file.reviews],
    )


@commands.command()
def accept(
    key: Key,
    by: By,
    organization: Organization,
    comment: Comment = "",
    seen: Seen = None,
    yes: Yes = False,
    settings: SettingsFile = None,
) -> None:
    """Accept a result: the reviewer agrees with it. The verdict stays in the ledger."""
    verdict = {"state": ReviewState.ACCEPTED, "by": by, "organization": organization, "comment": comment}
    _give_verdict(settings, key, verdict, seen=seen, ask=not yes)


@commands.command()
def reject(
    key: Key,
    by: By,
    organization: Organization,
    reason: Annotated[RejectReason, typer.Option(help="Why.")],
    comment: Comment = "",
    seen: Seen = None,
    yes: Yes = False,
    settings: SettingsFile = None,
) -> None:
    """Reject a result, with the reason. The verdict stays in the ledger."""
    verdict = {"state": ReviewState.REJECTED, "by": by, "organization": organization, "comment": comment}
    _give_verdict(settings, key, {**verdict, "reason": reason.value}, seen=seen, ask=not yes)


def _give_verdict(
    settings_file: Path | None, key: str, verdict: Mapping[str, Any], *, seen: ReviewState | None, ask: bool
) -> None:
    """Give the verdict on the result as it is now, or as the person saw it, and print what came of it.

    ask: show the result and ask first, unless the person says what they saw or nobody sits at the terminal.
    """
    from orchestrator.app.operations import review as operations

    settings = settings_of(settings_file)
    result = operations.reviewed_result(settings, key)
    before = result.newest
    if seen is None and ask and sys.stdin.isatty():
        _confirm_verdict(result, verdict["state"])
    request = VerdictRequest(
        job_key=result.job.key, seen=seen or before.state, seen_at=None if seen else before.at, **verdict
    )
    after = operations.give_verdict(settings, request)
    reason = f" ({after.reason})" if after.reason else ""
    console.print(f"result {after.job_key[:12]} is {after.state}{reason}{_instead_of(before)}", markup=False)


def _confirm_verdict(result: ReviewedResult, state: ReviewState) -> None:
    """Show what the verdict is about and ask; typer.Abort unless the person agrees."""
    job, newest = result.job, result.newest
    by = f" by {newest.by}" if newest.by else ""
    text = f"{job.model} {job.model_version}: {finding_text(job.findings, job.measurements)}; {newest.state}{by}"
    typer.confirm(f"{text}. Make the result {state}?", abort=True, err=True)


@commands.command()
def retract(
    model: Annotated[str, typer.Option(help="Name of the faulty model.")],
    version: Annotated[str, typer.Option(help="Its version.")],
    reason: Annotated[str, typer.Option(help="What is wrong with it; each note contains this text. No patient data.")],
    by: Annotated[str, typer.Option(help="Your name; each note contains it.")],
    organization: Annotated[str, typer.Option(help="Your organisation.")],
    since: Annotated[Day, typer.Option(formats=DAYS, help="Only results written on this day or later.")] = None,
    until: Annotated[
        Day,
        typer.Option(formats=DAYS, help="Only results written until the end of this day; the version keeps running."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the results that would be retracted.")] = False,
    yes: Yes = False,
    settings: SettingsFile = None,
    json: JsonFlag = False,
) -> None:
    """Retract all results of a faulty model version: each destination gets rejection notes, the version runs no more.

    This cannot be undone. After an interruption, give the same command again. Accession numbers appear only on this
    terminal.
    """
    from orchestrator.app.operations.retract import open_retraction  # loads plugins and archives

    order = RetractionRecord(
        model=model,
        model_version=version,
        since=since.astimezone(UTC) if since else None,
        until=datetime.combine(until, time.max).astimezone(UTC) if until else None,
        reason=reason.strip(),
        by=by.strip(),
        organization=organization.strip(),
        at=datetime.now(UTC),
    )
    with open_retraction(settings, order) as retraction:
        stopped = retraction.begin(dry_run=True)
        if not dry_run:
            if sys.stdin.isatty() and not yes:
                _ask(order, len(retraction.results()), len(stopped))
            stopped = retraction.begin()
        results = [*_with_progress(retraction.results(), retraction.preview if dry_run else retraction.retract)]
    if json:
        as_json({"order": order, "dry_run": dry_run, "stopped": [job.key for job in stopped], "results": results})
        return
    _print_retracted(results, len(stopped), dry_run=dry_run)


def _ask(order: RetractionRecord, results: int, stopped: int) -> None:
    """Ask the person; typer.Abort unless they agree."""
    text = f"results of {order.model} {order.model_version} to retract for good: {results}"
    held = f"; jobs to hold: {stopped}" if stopped else ""
    typer.confirm(f"{text}{held}. Continue?", abort=True, err=True)


def _with_progress(keys: Sequence[str], take: Callable[[str], RetractedResult]) -> Iterator[RetractedResult]:
    """Yield each result after ``take``, with a progress bar."""
    from rich.progress import Progress

    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as progress:
        for key in progress.track(keys, description="results"):
            yield take(key)


def _print_retracted(results: Sequence[RetractedResult], stopped: int, *, dry_run: bool) -> None:
    table(
        ["result", "study", "accession number", "sent to", "was"],
        [
            (
                item.job_key[:12],
                item.study_uid,
                f"? ({item.accession_from})" if item.accession_number is None else item.accession_number or "none",
                ", ".join(item.sent_to) or "nowhere",
                item.was,
            )
            for item in results
        ],
        empty="no results of this version in that time",
    )
    new, notes = sum(item.is_new for item in results), sum(len(item.sent_to) for item in results)
    what = "results that would be retracted" if dry_run else "results retracted"
    console.print(f"{what}: {new} (before: {len(results) - new}); rejection notes: {notes}", markup=False)
    if stopped:
        console.print(f"waiting or running jobs of this version, held now or when they end: {stopped}", markup=False)
    if not dry_run and notes:
        console.print("a running service sends the notes; see: orchestrator doctor", markup=False)


def _instead_of(before: ReviewRecord | None) -> str:
    """Return in words whose verdict the new one replaces, nothing where it is the first."""
    if before is None or not before.by:
        return ""
    when = before.at.astimezone().strftime("%Y-%m-%d %H:%M")
    return f"; {before.by} ({before.organization}) had {before.state} it at {when}"
