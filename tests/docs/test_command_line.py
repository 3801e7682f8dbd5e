"""The reference of the command line is complete, and no page tells to run what does not exist."""

from __future__ import annotations

import pytest

from tests.docs.command_line import PAGE, commands, options, reference
from tests.docs.pages import invocations

COMMANDS = commands()
EVERYWHERE = {"--help", "--settings", "-s"}


def test_the_page_is_what_the_commands_say() -> None:
    assert PAGE.read_text("utf-8") == reference(), "python -m tests.docs.command_line writes it"


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_says_what_it_does_and_so_do_its_options(words: str) -> None:
    command = COMMANDS[words]
    assert command.help.strip().endswith(".")
    assert all(option.help.endswith(".") for option in options(command))


@pytest.mark.parametrize(
    ("page", "words"), invocations(), ids=lambda value: value if isinstance(value, str) else " ".join(value)
)
def test_what_a_page_tells_to_run_exists(page: str, words: tuple[str, ...]) -> None:
    if words[0] == "--version":
        return
    known = [name for name in COMMANDS if tuple(name.split()) == words[: len(name.split())]]
    groups = {name.split()[0] for name in COMMANDS if " " in name}
    assert known or (words[0] in groups and len(words) == 1), f"{page}: no command {words}"
    allowed = EVERYWHERE | {each for name in known for option in options(COMMANDS[name]) for each in option.opts}
    assert {word.partition("=")[0] for word in words if word.startswith("-")} <= allowed
