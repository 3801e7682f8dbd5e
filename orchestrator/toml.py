"""TOML files that people write: their values, the line of each, and all their faults in one message."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.domain.errors import UserError

if TYPE_CHECKING:
    import tree_sitter

SIZE_LIMIT_BYTES = 256 * 1024
LINE_LIMIT_CHARACTERS = 4096
# a dotted key of 100,000 parts does not end in tomllib, one of 2,000 takes its time
_DEEP_KEY = re.compile(r"""[\s\[]*(?:(?:[\w-]+|"[^"]*"|'[^']*')\s*\.\s*){32}""")
_FAULTS_LISTED = 50
_FAULTS_WITH_HINT = 20  # a hint compares the word with some 5,000 keywords

Key = tuple[str | int, ...]
"""Where a value stands: ``("rule", 0, "when", "Modality")``."""

_AT_LINE = re.compile(r" \(at line (\d+), column \d+\)$")


@cache
def _parser() -> tree_sitter.Parser:
    import tree_sitter  # where there is no file to read, nobody waits for it
    import tree_sitter_toml

    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_toml.language()))


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed TOML file; ``lines`` holds the line (from 1) of each key and array element."""

    name: str
    text: str
    values: dict[str, Any]
    lines: Mapping[Key, int]

    def line(self, key: Key) -> int:
        """Return the line of a value, or of the nearest table around it."""
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key, 1)


def read(path: Path, error: type[UserError]) -> Document:
    """Return the parsed file.

    Raises ``error`` for a file that cannot be read, is too large or is no TOML.
    """
    try:
        with path.open("rb") as file:
            content = file.read(SIZE_LIMIT_BYTES + 1)
    except OSError as fault:
        raise error(f"{path} cannot be read: {fault.strerror}.") from None
    if len(content) > SIZE_LIMIT_BYTES:
        raise error(f"{path} is larger than {SIZE_LIMIT_BYTES // 1024} KB.")
    try:
        return parse(content.decode("utf-8-sig"), str(path), error)
    except UnicodeDecodeError as fault:
        line = content.count(b"\n", 0, fault.start) + 1
        raise error(f"{path}:{line}: the text is not UTF-8.") from None


def parse(text: str, name: str, error: type[UserError]) -> Document:
    """Return the parsed text; ``name`` stands before the line in messages.

    Raises ``error`` for a line that is too long or a key that is too deep, and for what is no TOML.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        if len(line) > LINE_LIMIT_CHARACTERS:
            raise error(f"{name}:{number}: the line is longer than {LINE_LIMIT_CHARACTERS} characters.")
        if _DEEP_KEY.match(line):
            raise error(f"{name}:{number}: the key has more than 32 parts.")
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise error(_syntax_fault(str(fault), text, name)) from None
    except RecursionError:
        raise error(f"{name}: tables or arrays are nested too deeply.") from None
    except ValueError as fault:  # a date such as 2024-02-31, a number of more than 4,300 digits
        raise error(f"{name}: {fault}.") from None
    return Document(name, text, values, _Lines().of(text))


def did_you_mean(word: str, known: Collection[str]) -> str:
    """Return `` - did you mean 'x'?`` for the nearest known word, whatever its case, else nothing."""
    if len(word) > 64:
        return ""
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f" - did you mean {by_lower[near[0]]!r}?" if near else ""


@dataclass(slots=True)
class Faults:
    """Collects the faults of one file, each with its line, to report them together."""

    document: Document
    _sentences: list[tuple[int, str]] = field(default_factory=list)

    def add(self, key: Key, sentence: str, word: str = "", known: Collection[str] = ()) -> None:
        """Note a fault at ``key``; with ``word``, a hint at the nearest known one ends the sentence."""
        if word and len(self._sentences) < _FAULTS_WITH_HINT:
            sentence += did_you_mean(word, known)
        self._sentences.append((self.document.line(key), sentence if sentence.endswith("?") else f"{sentence}."))

    def __len__(self) -> int:
        return len(self._sentences)

    def __iter__(self) -> Iterator[str]:
        for line, sentence in sorted(self._sentences, key=lambda fault: fault[0]):
            yield f"{self.document.name}:{line}: {sentence}"

    def raise_as(self, error: type[UserError]) -> None:
        """Raise one ``error`` that lists every fault in the order of the file, if there is any."""
        if self._sentences:
            raise error(listed(list(self)))


def listed(faults: list[str]) -> str:
    """Return the faults one a line, cut where nobody would read on."""
    shown = faults[:_FAULTS_LISTED]
    if len(faults) > len(shown):
        shown.append(f"... and {len(faults) - len(shown)} more.")
    return "\n".join(shown)


def _syntax_fault(message: str, text: str, name: str) -> str:
    at_line = _AT_LINE.search(message)
    line = int(at_line[1]) if at_line else text.count("\n") + 1
    return f"{name}:{line}: {_AT_LINE.sub('', message).removesuffix(' (at end of document)')}."


class _Lines:
    """Walks the syntax tree once and notes where each key and array element begins."""

    def __init__(self) -> None:
        self._lines: dict[Key, int] = {}
        self._elements: dict[Key, int] = {}  # [[array of tables]] -> how many came so far

    def of(self, text: str) -> Mapping[Key, int]:
        for node in _parser().parse(text.encode("utf-8", "replace")).root_node.named_children:
            if node.type == "pair":
                self._pair((), node)
            elif node.type in ("table", "table_array_element"):
                self._table(node)
        return self._lines

    def _table(self, node: tree_sitter.Node) -> None:
        header, *pairs = node.named_children
        path: Key = ()
        for part in _parts(header):
            path = (*self._newest(path), part)
            self._note(path, header)
        if node.type == "table_array_element":
            self._elements[path] = self._elements.get(path, 0) + 1
        path = self._newest(path)
        self._note(path, header)
        for pair in pairs:
            if pair.type == "pair":
                self._pair(path, pair)

    def _newest(self, path: Key) -> Key:
        """Return the path, into the last element where it is an array of tables."""
        return (*path, self._elements[path] - 1) if path in self._elements else path

    def _pair(self, path: Key, node: tree_sitter.Node) -> None:
        key, *values = node.named_children
        for part in _parts(key):
            path = (*path, part)
            self._note(path, key)
        for value in values:
            self._value(path, value)

    def _value(self, path: Key, node: tree_sitter.Node) -> None:
        if node.type == "inline_table":
            for pair in node.named_children:
                if pair.type == "pair":
                    self._pair(path, pair)
        elif node.type == "array":
            elements = (child for child in node.named_children if child.type != "comment")
            for index, element in enumerate(elements):
                self._note((*path, index), element)
                self._value((*path, index), element)

    def _note(self, path: Key, node: tree_sitter.Node) -> None:
        self._lines.setdefault(path, node.start_point.row + 1)


def _parts(key: tree_sitter.Node) -> list[str]:
    parts: list[str] = []
    while key.type == "dotted_key":  # a.b.c is ((a.b).c)
        key, last = key.named_children
        parts.append(_plain(last))
    return [_plain(key), *reversed(parts)]


def _plain(key: tree_sitter.Node) -> str:
    text = (key.text or b"").decode()
    if key.type != "quoted_key":
        return text
    (name,) = tomllib.loads(f"{text} = 0")
    return name
