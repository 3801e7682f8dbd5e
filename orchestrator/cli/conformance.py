"""``orchestrator conformance``: the statements that a site asks for, of this version with these settings."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.show import SettingsFile


def command(
    ihe: Annotated[bool, typer.Option("--ihe", help="The IHE Integration Statement instead.")] = False,
    settings: SettingsFile = None,
) -> None:
    """Print the DICOM Conformance Statement of this version with these settings, as Markdown."""
    from orchestrator.app.conformance import dicom_statement, ihe_statement  # loads what speaks and writes DICOM
    from orchestrator.app.installation.settings import settings_of

    write = ihe_statement if ihe else dicom_statement
    typer.echo(write(settings_of(settings)), nl=False)
