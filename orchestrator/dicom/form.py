"""What a destination takes: a choice of encodings, by which one result may be written in several forms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from orchestrator.domain.records import ObjectKind, ObjectRecord


class Syntax(StrEnum):
    """Transfer syntaxes that objects are written in."""

    EXPLICIT = "explicit"
    IMPLICIT = "implicit"
    DEFLATED = "deflated"

    @property
    def uid(self) -> UID:
        """The transfer syntax (PS3.5 A.1, A.2, A.5)."""
        return _UIDS[self]


_UIDS: Mapping[Syntax, UID] = {
    Syntax.EXPLICIT: ExplicitVRLittleEndian,
    Syntax.IMPLICIT: ImplicitVRLittleEndian,
    Syntax.DEFLATED: DeflatedExplicitVRLittleEndian,
}

USUAL_OBJECTS = frozenset({ObjectKind.SEG, ObjectKind.SR, ObjectKind.PM})
"""What a destination gets of a result where nothing is said of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOptions:
    """What a destination takes.

    label_map: BINARY is what every archive takes; LABELMAP is smaller, but 3D Slicer and others refuse it.
    comprehensive_3d: False for an archive that knows only plain Comprehensive SR.
    syntax: IMPLICIT for an archive that takes no other; DEFLATED makes a segmentation much smaller.
    objects: which kinds of objects it gets. SEG, maps and SR are written in any case, for the host reads its
        results from them; so a choice of objects is no other form, and an object has one UID wherever it goes.
    """

    label_map: bool = False
    comprehensive_3d: bool = True
    syntax: Syntax = Syntax.EXPLICIT
    objects: frozenset[ObjectKind] = USUAL_OBJECTS

    def takes(self, written: ObjectRecord) -> bool:
        """Return whether the destination gets an object; what a plugin adds goes everywhere."""
        return written.kind in self.objects or written.kind is ObjectKind.OTHER

    @property
    def form(self) -> str:
        """The name of this choice: the words in which it is not the usual one, empty where it is."""
        words = {
            "labelmap": self.label_map,
            "comprehensive": not self.comprehensive_3d,
            self.syntax.value: self.syntax is not Syntax.EXPLICIT,
        }
        return " ".join(word for word, unusual in words.items() if unusual)

    @property
    def shaping(self) -> Mapping[str, object]:
        """What UIDs follow from; a choice that came later counts where it is not the usual, so that UIDs stay."""
        chosen: dict[str, object] = {"label_map": self.label_map, "comprehensive_3d": self.comprehensive_3d}
        return chosen if self.syntax is Syntax.EXPLICIT else {**chosen, "syntax": self.syntax.value}


def forms(options: Iterable[WriteOptions]) -> tuple[WriteOptions, ...]:
    """Return each form once, with all the objects that one of these destinations gets in it."""
    found: dict[str, WriteOptions] = {}
    for each in options:
        known = found.get(each.form, each)
        found[each.form] = replace(known, objects=known.objects | each.objects)
    return tuple(found.values())
