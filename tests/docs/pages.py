"""The pages of the documentation as a test sees them: their fenced blocks, links and inline code."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (*sorted((ROOT / "docs").rglob("*.md")), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")))
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_INLINE = re.compile(r"`([^`\n]+)`")
_FILE_NAME = re.compile(r"# (\S+\.(?:py|toml|service))\n")
PROGRAM = "orchestrator"


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block; ``file``: the name that a comment in its first line gives it, else empty."""

    page: Path
    language: str
    text: str

    @property
    def file(self) -> str:
        named = _FILE_NAME.match(self.text)
        return named[1] if named else ""

    def __str__(self) -> str:
        first = next((line for line in self.text.splitlines() if line.strip()), "")
        return f"{name_of(self.page)}: {first[:40]}"


def name_of(page: Path) -> str:
    """Return the page's path below the repository."""
    return page.relative_to(ROOT).as_posix()


def text_of(name: str) -> str:
    """Return a page by its path below the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(*languages: str, pages: tuple[Path, ...] = PAGES) -> list[Block]:
    """Return the fenced blocks in these languages; an unnamed one has the language ``""``."""
    found = (
        Block(page, language, text) for page in pages for language, text in _FENCE.findall(page.read_text("utf-8"))
    )
    return [block for block in found if block.language in languages]


def links() -> list[tuple[Path, str]]:
    """Return (page, target) of each link that leads to a file here."""
    return [
        (page, target)
        for page in PAGES
        for target in _LINK.findall(_FENCE.sub("", page.read_text("utf-8")))
        if not target.startswith(("http://", "https://", "mailto:", "#"))
    ]


def invocations() -> list[tuple[str, tuple[str, ...]]]:
    """Return (page, words after the program's name) wherever a page tells to run ``orchestrator``."""
    return [(name_of(page), words) for page in PAGES for line in _lines(page) if (words := _words(line)) is not None]


def _lines(page: Path) -> Iterator[str]:
    text = page.read_text("utf-8")
    for block in blocks("bash", "", "ini", pages=(page,)):
        yield from block.text.splitlines()
    yield from _INLINE.findall(_FENCE.sub("", text))


def _words(line: str) -> tuple[str, ...] | None:
    line = line.strip().removeprefix("ExecStart=")
    if not re.match(rf"(\S*/bin/)?{PROGRAM}\s+\S", line):
        return None
    return tuple(shlex.split(line, comments=True)[1:])
