"""The reference of the command line, made from the commands themselves.

``python -m tests.docs.command_line`` writes docs/reference/command-line.md.
"""

from __future__ import annotations

import enum
import re
import typing
from collections.abc import Iterator
from pathlib import Path

import typer
from typer.core import TyperArgument, TyperGroup, TyperOption

from orchestrator.cli.root import build

PAGE = Path(__file__).parents[2] / "docs/reference/command-line.md"
NAME = "orchestrator"
HEAD = """# Command line

`orchestrator --version` prints the version. Every command has `--help` and `-s FILE` or `--settings FILE`, which names
the settings file. Without it the command reads `orchestrator.toml` in the working directory, or uses the defaults
([settings](settings.md)). Commands that list or show something have `--json`.

| exit status | means |
|---|---|
| 0 | done |
| 1 | a job failed, or something outside failed (an archive, the package index); `doctor`: a check is bad |
| 2 | an input or a setting is wrong; the message says what is wrong and what to do |

Plugins may add commands ([hooks](hooks.md)). `python -m tests.docs.command_line` writes this page from the commands.
"""


def commands() -> dict[str, typing.Any]:
    """Return every command by its words (``results reject``), groups left out."""
    return dict(_commands(typer.main.get_command(build([])), ()))


def options(command: typing.Any) -> list[TyperOption]:
    """Return the options that people may use."""
    return [each for each in command.params if isinstance(each, TyperOption) and not each.hidden]


def reference() -> str:
    """Return the whole page."""
    return "\n".join([HEAD, *(_section(words, command) for words, command in commands().items())])


def _commands(command: typing.Any, words: tuple[str, ...]) -> Iterator[tuple[str, typing.Any]]:
    if not isinstance(command, TyperGroup):
        yield " ".join(words), command
        return
    if command.invoke_without_command:  # a group that is a command itself
        yield " ".join(words), command
    for name, each in command.commands.items():
        yield from _commands(each, (*words, name))


def _section(words: str, command: typing.Any) -> str:
    arguments = [each for each in command.params if isinstance(each, TyperArgument)]
    usage = " ".join([NAME, words, *map(_usage, arguments)])
    rows = [f"| `{_metavar(each)}` | {each.help} | |" for each in arguments]
    rows += [_row(option) for option in options(command) if "--settings" not in option.opts]
    purpose = re.sub(r"\s+", " ", command.help or "").strip()
    table = "\n".join(["", "| | meaning | default |", "|---|---|---|", *rows, ""]) if rows else ""
    return f"## `{usage}`\n\n{purpose}\n{table}"


def _usage(argument: TyperArgument) -> str:
    name = _metavar(argument) + ("..." if argument.nargs == -1 else "")
    return name if argument.required else f"[{name}]"


def _metavar(argument: TyperArgument) -> str:
    return argument.metavar or (argument.name or "").upper()


def _row(option: TyperOption) -> str:
    names = ", ".join(f"`{name}`" for name in option.opts)
    choices = ", ".join(f"`{each.value}`" for each in _choices(option))
    meaning = f"{option.help} {choices}." if choices else str(option.help)
    return f"| {names} | {meaning} | {_default(option)} |".replace("  |", " |")


def _choices(option: TyperOption) -> list[enum.Enum]:
    annotation = option.type_descriptor.annotation
    for kind in (annotation, *typing.get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            return list(kind)
    return []


def _default(option: TyperOption) -> str:
    if option.required:
        return "required"
    return "" if option.default in (None, False, "", ()) else f"`{option.default}`"


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
