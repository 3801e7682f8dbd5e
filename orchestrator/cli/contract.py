"""Prints a contract check, clause by clause while it runs."""

from __future__ import annotations

from collections import Counter

from orchestrator.app.models.contract import Clause, ContractReport, Mark
from orchestrator.cli.show import console

MARKS = {
    Mark.PASSED: "[green]passed[/green]  ",
    Mark.FAILED: "[red]FAILED[/red]  ",
    Mark.NOT_APPLICABLE: "[yellow]n/a[/yellow]     ",
}


class ClausePrinter:
    """Prints clauses; successive clauses that do not apply for the same reason share a line."""

    def __init__(self) -> None:
        self._series = ""
        self._pending: list[Clause] = []

    def show(self, clause: Clause) -> None:
        """Print the clause, or hold it back until it is known whether the next one shares its line."""
        first = self._pending[0] if self._pending else None
        together = first is not None and (first.mark, first.says) == (clause.mark, clause.says)
        if first is not None and not (together and clause.mark is Mark.NOT_APPLICABLE):
            self.end()
        self._pending.append(clause)

    def end(self) -> None:
        """Print the clauses that were held back."""
        if not self._pending:
            return
        first = self._pending[0]
        if first.series != self._series:
            self._series = first.series
            console.print(f"[bold]{first.series or 'process'}[/bold]")
        names = ", ".join(clause.name for clause in self._pending)
        console.print(f"{MARKS[first.mark]}[bold]{names}[/bold]: ", end="")
        console.print(first.says, markup=False, soft_wrap=True)
        self._pending = []


def show_outcome(report: ContractReport) -> None:
    """Print one line that says whether the model keeps the contract."""
    counts = Counter(clause.mark for clause in report.clauses)
    summary = ", ".join(f"{counts[mark]} {mark}" for mark in Mark if counts[mark])
    verb = "[red]breaks[/red]" if report.failed else "[green]keeps[/green]"
    console.print(f"{report.model.name} {report.model.version} {verb} the contract: {summary}")
