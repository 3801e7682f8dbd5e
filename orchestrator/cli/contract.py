"""How the command line shows a contract run, clause by clause as it goes."""

from __future__ import annotations

from collections import Counter

from orchestrator.app.models.contract import Clause, Mark, Report
from orchestrator.cli.show import console

MARKS = {
    Mark.PASSED: "[green]passed[/green]  ",
    Mark.FAILED: "[red]FAILED[/red]  ",
    Mark.NOT_APPLICABLE: "[yellow]n/a[/yellow]     ",
}


class Reading:
    """Prints clauses; those in a row that do not apply for one and the same reason make one line."""

    def __init__(self) -> None:
        self._series = ""
        self._waiting: list[Clause] = []

    def show(self, clause: Clause) -> None:
        """Print the clause, or hold it until the next one tells whether they belong together."""
        first = self._waiting[0] if self._waiting else None
        together = first is not None and (first.mark, first.says) == (clause.mark, clause.says)
        if first is not None and not (together and clause.mark is Mark.NOT_APPLICABLE):
            self.end()
        self._waiting.append(clause)

    def end(self) -> None:
        """Print what was held."""
        if not self._waiting:
            return
        first = self._waiting[0]
        if first.series != self._series:
            self._series = first.series
            console.print(f"[bold]{first.series or 'as a process'}[/bold]")
        names = ", ".join(clause.name for clause in self._waiting)
        console.print(f"{MARKS[first.mark]}[bold]{names}[/bold]: ", end="")
        console.print(first.says, markup=False, soft_wrap=True)
        self._waiting = []


def show_outcome(report: Report) -> None:
    """Print in one line whether the model keeps the contract."""
    counts = Counter(clause.mark for clause in report.clauses)
    told = ", ".join(f"{counts[mark]} {mark}" for mark in Mark if counts[mark])
    verb = "[red]breaks[/red]" if report.failed else "[green]keeps[/green]"
    console.print(f"{report.model.name} {report.model.version} {verb} the contract: {told}")
