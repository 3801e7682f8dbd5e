"""Coded concepts: a value, the scheme that defines it and the meaning a person reads."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from orchestrator.domain.errors import UnknownConcept


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept (PS3.3 section 8): ``Code("10200004", "SCT", "Liver")``."""

    value: str
    scheme: str
    meaning: str

    def __str__(self) -> str:
        return f"({self.value}, {self.scheme}, {self.meaning})"


class Codes(Mapping[str, Code]):
    """Coded concepts by plain English name, case and hyphens ignored."""

    def __init__(self, concepts: Mapping[str, Code]) -> None:
        self._concepts = {_plain(name): code for name, code in concepts.items()}

    def __getitem__(self, name: str) -> Code:
        """Return the concept of that name.

        Raises UnknownConcept (a LookupError) with the nearest names.
        """
        try:
            return self._concepts[_plain(name)]
        except KeyError:
            near = difflib.get_close_matches(_plain(name), self._concepts, n=3)
            hint = f" - did you mean {' or '.join(map(repr, near))}?" if near else ""
            raise UnknownConcept(
                f"no coded concept is named {name!r}{hint} "
                "Give Code(value, scheme, meaning) for one that is not in the dictionary."
            ) from None

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and _plain(name) in self._concepts

    def __iter__(self) -> Iterator[str]:
        return iter(self._concepts)

    def __len__(self) -> int:
        return len(self._concepts)


def _plain(name: str) -> str:
    return " ".join(name.lower().replace("-", " ").replace("_", " ").split())
