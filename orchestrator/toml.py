"""Reads TOML files that people write: values, the line of each value, and all faults in one message."""

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
# tomllib needs quadratic time for dotted keys: seconds for 2,000 parts
_DEEP_KEY = re.compile(r"""[\s\[]*(?:(?:[\w-]+|"[^"]*"|'[^']*')\s*\.\s*){32}""")
_MOST_FAULTS = 50
_MOST_HINTS = 20  # a hint compares the word with about 5,000 keywords

Key = tuple[str | int, ...]
"""Path of a value, such as ``("rule", 0, "when", "Modality")``."""

_AT_LINE = re.compile(r" \(at line (\d+), column \d+\)$")


@cache
def _parser() -> tree_sitter.Parser:
    import tree_sitter  # imported late: commands that read no file start faster
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

    Raises ``error`` for a file that cannot be read, is larger than 256 KB or is not TOML.
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
    """Return the parsed text; messages begin with ``name`` and the line.

    Raises ``error`` for text that is not TOML, a line that is too long or a key with too many parts.
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
    return Document(name, text, values, _LineIndex().of(text))


def did_you_mean(word: str, known: Collection[str]) -> str:
    """Return `` Did you mean 'x'?`` with the nearest known word, whatever its case; empty where none is near."""
    if len(word) > 64:
        return ""
    wrong = word.lower()
    by_lower = {name.lower(): name for name in sorted(known)}
    cutoff = 0.5 if len(word) < 3 else 0.6  # of two letters one must be right
    near = difflib.get_close_matches(wrong, by_lower, n=8, cutoff=cutoff)
    if not near:
        return ""
    best = max(sorted(near), key=lambda name: _similarity(wrong, name))
    return f" Did you mean {by_lower[best]!r}?"


def _similarity(word: str, name: str) -> tuple[float, bool]:
    """Return the ratio of letters in common, and whether the words begin alike."""
    return difflib.SequenceMatcher(None, name, word).ratio(), name[:1] == word[:1]


@dataclass(slots=True)
class Faults:
    """Collects the faults of one file, each with its line, to report them together."""

    document: Document
    _sentences: list[tuple[int, str]] = field(default_factory=list)

    def add(self, key: Key, sentence: str, word: str = "", known: Collection[str] = ()) -> None:
        """Add a fault at ``key``. With a misspelt ``word``, the message suggests the nearest known one."""
        message = sentence if sentence.endswith((".", "?")) else f"{sentence}."
        if word and len(self._sentences) < _MOST_HINTS:
            message += did_you_mean(word, known)
        self._sentences.append((self.document.line(key), message))

    def __len__(self) -> int:
        return len(self._sentences)

    def __iter__(self) -> Iterator[str]:
        for line, sentence in sorted(self._sentences, key=lambda fault: fault[0]):
            yield f"{self.document.name}:{line}: {sentence}"

    def raise_as(self, error: type[UserError]) -> None:
        """Raise one ``error`` with all faults in the order of the file, if there are any."""
        if self._sentences:
            raise error(join_faults(list(self)))


def join_faults(faults: list[str]) -> str:
    """Return the first 50 faults, one a line, and the number of the others."""
    lines = faults[:_MOST_FAULTS]
    if len(faults) > len(lines):
        lines.append(f"... and {len(faults) - len(lines)} more.")
    return "\n".join(lines)


def _syntax_fault(message: str, text: str, name: str) -> str:
    at_line = _AT_LINE.search(message)
    line = int(at_line[1]) if at_line else text.count("\n") + 1
    return f"{name}:{line}: {_AT_LINE.sub('', message).removesuffix(' (at end of document)')}."


class _LineIndex:
    """Walks the syntax tree once and records the line of each key and array element."""

    def __init__(self) -> None:
        self._lines: dict[Key, int] = {}
        self._elements: dict[Key, int] = {}  # [[array of tables]] -> number of its elements so far

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
        for part in _split_key(header):
            path = (*self._newest(path), part)
            self._record(path, header)
        if node.type == "table_array_element":
            self._elements[path] = self._elements.get(path, 0) + 1
        path = self._newest(path)
        self._record(path, header)
        for pair in pairs:
            if pair.type == "pair":
                self._pair(path, pair)

    def _newest(self, path: Key) -> Key:
        """Return the path; for an array of tables, the path of its last element."""
        return (*path, self._elements[path] - 1) if path in self._elements else path

    def _pair(self, path: Key, node: tree_sitter.Node) -> None:
        key, *values = node.named_children
        for part in _split_key(key):
            path = (*path, part)
            self._record(path, key)
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
                self._record((*path, index), element)
                self._value((*path, index), element)

    def _record(self, path: Key, node: tree_sitter.Node) -> None:
        self._lines.setdefault(path, node.start_point.row + 1)


def _split_key(key: tree_sitter.Node) -> list[str]:
    parts: list[str] = []
    while key.type == "dotted_key":  # a.b.c is ((a.b).c)
        key, last = key.named_children
        parts.append(_unquote(last))
    return [_unquote(key), *reversed(parts)]


def _unquote(key: tree_sitter.Node) -> str:
    text = (key.text or b"").decode()
    if key.type != "quoted_key":
        return text
    (name,) = tomllib.loads(f"{text} = 0")
    return name
