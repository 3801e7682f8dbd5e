"""``orchestrator conformance``: prints the DICOM and IHE statements of this version with these settings."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.show import SettingsFile


def command(
    ihe: Annotated[bool, typer.Option("--ihe", help="Print the IHE Integration Statement instead.")] = False,
    settings: SettingsFile = None,
) -> None:
    """Print the DICOM Conformance Statement of this version with these settings, as Markdown."""
    from orchestrator.app.conformance import dicom_statement, ihe_statement  # slow: imports the DICOM modules
    from orchestrator.app.installation.settings import settings_of

    write = ihe_statement if ihe else dicom_statement
    typer.echo(write(settings_of(settings)), nl=False)
