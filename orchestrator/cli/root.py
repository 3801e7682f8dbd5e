"""Assembles the command line from its commands and those of plugins."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from importlib import import_module
from typing import Annotated

import typer

import orchestrator

COMMANDS = ("demo", "run", "serve", "doctor", "conformance", "events", "plugins")
PURPOSE = "Routes radiology series to AI models and brings the results back for review."
GROUPS = ("rules", "models", "jobs", "results", "quarantine", "backfill", "config")


def build(arguments: Sequence[str]) -> typer.Typer:
    """Return the command line for these arguments.

    Only the command in the arguments is loaded, so that it starts quickly. Host plugins are asked for commands only
    if the name is not a built-in command.
    """
    cli = typer.Typer(
        help=PURPOSE,
        no_args_is_help=True,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
    )
    cli.callback(help=PURPOSE)(_root)
    chosen = next((argument for argument in arguments if not argument.startswith("-")), "")
    built_in = [name for name in (*COMMANDS, *GROUPS) if chosen in {name, ""}]
    for name in built_in:
        _add(cli, name)
    if not built_in:
        _add_plugin_commands(cli)
    return cli


def _add(cli: typer.Typer, name: str) -> None:
    module = import_module(f"orchestrator.cli.{name}")
    if name in GROUPS:
        cli.add_typer(module.commands, name=name)
    else:
        cli.command(name)(module.command)


def _add_plugin_commands(cli: typer.Typer) -> None:
    from orchestrator.app.installation.connections import load_plugins, start_workers
    from orchestrator.app.installation.settings import settings_of

    for name in (*COMMANDS, *GROUPS):
        _add(cli, name)  # the help for a misspelt name lists all commands
    with closing(start_workers(settings_of(None))) as workers:
        load_plugins(workers).register_commands(cli)


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(orchestrator.__version__)
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Define the options of the program itself."""
