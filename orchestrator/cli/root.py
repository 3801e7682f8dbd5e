"""All commands under one name."""

from __future__ import annotations

from typing import Annotated

import typer

import orchestrator
from orchestrator.cli import config, demo, doctor, jobs, models, plugins, results, rules, run, serve


def build() -> typer.Typer:
    """Return the command line with every command of ours and of the host plugins."""
    cli = typer.Typer(
        help="Routes radiology series to AI models and brings the results back for review.",
        no_args_is_help=True,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
    )
    cli.callback()(_root)
    for module in (demo, run, serve, doctor, plugins):
        cli.command(module.NAME)(module.command)
    for name, group in (
        ("rules", rules),
        ("models", models),
        ("jobs", jobs),
        ("results", results),
        ("config", config),
    ):
        cli.add_typer(group.commands, name=name)
    return cli


def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.", is_eager=True)] = False,
) -> None:
    if version:
        typer.echo(orchestrator.__version__)
        raise typer.Exit


__all__ = ["build"]
