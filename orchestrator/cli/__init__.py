"""The command line ``orchestrator``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; a user's fault is one sentence and exit status 2, ours has status 1."""
    from orchestrator.app.installation.logs import silence_quoting_libraries
    from orchestrator.cli.root import build
    from orchestrator.cli.show import errors, tell_warnings
    from orchestrator.domain.errors import OrchestratorError, UserError
    from orchestrator.file_modes import keep_private

    keep_private()
    silence_quoting_libraries()
    tell_warnings()
    try:
        build(sys.argv[1:])()
    except UserError as fault:
        errors.print(f"[red]error:[/red] {_plain(fault)}", soft_wrap=True)
        sys.exit(2)
    except OrchestratorError as fault:
        errors.print(f"[red]failed:[/red] {_plain(fault)}", soft_wrap=True)
        sys.exit(1)


def _plain(fault: Exception) -> str:
    return str(fault).replace("[", r"\[")
