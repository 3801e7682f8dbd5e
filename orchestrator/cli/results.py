"""``orchestrator results``: what waits for a radiologist, and the verdicts."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.app import ledgers
from orchestrator.cli.show import JsonFlag, SettingsFile, as_json, changes_text, console, finding_text, table
from orchestrator.domain.records import ReviewRecord
from orchestrator.domain.review import RejectReason, ReviewState
from orchestrator.domain.worklist import Wanted

commands = typer.Typer(help="Results: list, show, accept, reject.", no_args_is_help=True)
Key = Annotated[str, typer.Argument(help="Job key of the result, or its first 6 digits and more.")]
By = Annotated[str, typer.Option("--by", help="Name of the reviewer.")]
Organization = Annotated[str, typer.Option("--organization", help="The reviewer's organisation.")]
Comment = Annotated[str, typer.Option(help="Free text for colleagues; no patient data.")]


@commands.command("list")
def list_results(
    settings: SettingsFile = None,
    state: Annotated[list[ReviewState] | None, typer.Option(help="Only in this state; may be repeated.")] = None,
    json: JsonFlag = False,
) -> None:
    """Show results: urgent ones first, then the oldest."""
    with ledgers.opened(settings) as ledger:
        results = ledger.results(Wanted(states=frozenset(state or ())))
    if json:
        as_json([{"job": job, "review": review} for job, review in results])
        return
    table(
        ["key", "review", "urgency", "model", "says", "since"],
        [
            (
                job.key[:12],
                review.state,
                job.urgency,
                f"{job.model} {job.model_version}",
                finding_text(job.findings, job.measurements),
                job.created_at,
            )
            for job, review in results
        ],
        empty="no results",
    )


@commands.command()
def show(key: Key, settings: SettingsFile = None, json: JsonFlag = False) -> None:
    """Show one result: what it says, where its objects are, and each verdict."""
    with ledgers.opened(settings) as ledger:
        file = ledgers.job_file(ledger, key)
    if json:
        as_json(file)
        return
    console.print(f"[bold]{file.job.model} {file.job.model_version}[/bold] - AI result, not verified")
    console.print(finding_text(file.job.findings, file.job.measurements), markup=False)
    table(["kind", "object", "file"], [(item.kind, item.sop_uid, item.path) for item in file.objects])
    table(
        ["when", "verdict", "by", "organisation", "reason", "corrected", "comment"],
        [
            (r.at, r.state, r.by or r.source, r.organization, r.reason, changes_text(r.changes), r.comment)
            for r in file.reviews
        ],
    )


@commands.command()
def accept(key: Key, by: By, organization: Organization, comment: Comment = "", settings: SettingsFile = None) -> None:
    """Note that a reviewer agrees with the result. The verdict stays in the ledger."""
    from orchestrator.app import desk  # loads the engine's client

    with desk.opened(settings) as office:
        before = office.ledger.review(office.ledger.job(key).key)
        review = office.judge(key, ReviewState.ACCEPTED, by=by, organization=organization, reason="", comment=comment)
    console.print(f"result {review.job_key[:12]} is {review.state}{_instead_of(before)}", markup=False)


@commands.command()
def reject(
    key: Key,
    by: By,
    organization: Organization,
    reason: Annotated[RejectReason, typer.Option(help="Why.")],
    comment: Comment = "",
    settings: SettingsFile = None,
) -> None:
    """Note that a reviewer rejects the result, and why. The verdict stays in the ledger."""
    from orchestrator.app import desk  # loads the engine's client

    with desk.opened(settings) as office:
        before = office.ledger.review(office.ledger.job(key).key)
        review = office.judge(
            key, ReviewState.REJECTED, by=by, organization=organization, reason=reason.value, comment=comment
        )
    why = f" ({review.reason})" if review.reason else ""
    said = f"result {review.job_key[:12]} is {review.state}{why}{_instead_of(before)}"
    console.print(said, markup=False)


def _instead_of(before: ReviewRecord | None) -> str:
    """Return in words whose verdict the new one replaces, nothing where it is the first."""
    if before is None or not before.by:
        return ""
    when = before.at.astimezone().strftime("%Y-%m-%d %H:%M")
    return f"; {before.by} ({before.organization}) had {before.state} it at {when}"
