"""What a destination takes: a choice of encodings, by which one result may be written in several forms."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    ImplicitVRLittleEndian,
    KeyObjectSelectionDocumentStorage,
    ParametricMapStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

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


LABEL_MAP_STORAGE = UID("1.2.840.10008.5.1.4.1.1.66.7")
"""Label Map Segmentation Storage, which pydicom does not name yet."""

_UIDS: Mapping[Syntax, UID] = {
    Syntax.EXPLICIT: ExplicitVRLittleEndian,
    Syntax.IMPLICIT: ImplicitVRLittleEndian,
    Syntax.DEFLATED: DeflatedExplicitVRLittleEndian,
}

USUAL_OBJECTS = frozenset({ObjectKind.SEG, ObjectKind.SR, ObjectKind.PM})
"""What a destination gets of a result where nothing is said of it."""


WORDS: Mapping[str, ObjectKind] = {
    "seg": ObjectKind.SEG,
    "sr": ObjectKind.SR,
    "parametric-map": ObjectKind.PM,
    "key-image": ObjectKind.SC,
    "key-object": ObjectKind.KO,
    "presentation": ObjectKind.PR,
}
"""What the settings call each kind."""

_KINDS: Mapping[str, ObjectKind] = {
    SegmentationStorage: ObjectKind.SEG,
    LABEL_MAP_STORAGE: ObjectKind.SEG,
    Comprehensive3DSRStorage: ObjectKind.SR,
    ComprehensiveSRStorage: ObjectKind.SR,
    ParametricMapStorage: ObjectKind.PM,
    SecondaryCaptureImageStorage: ObjectKind.SC,
    KeyObjectSelectionDocumentStorage: ObjectKind.KO,
    GrayscaleSoftcopyPresentationStateStorage: ObjectKind.PR,
}

_OTHER_CHOICES: Mapping[str, tuple[str, str, str]] = {
    SegmentationStorage: (LABEL_MAP_STORAGE, "seg", '"labelmap"'),
    LABEL_MAP_STORAGE: (SegmentationStorage, "seg", '"binary"'),
    Comprehensive3DSRStorage: (ComprehensiveSRStorage, "sr", '"comprehensive"'),
    ComprehensiveSRStorage: (Comprehensive3DSRStorage, "sr", '"comprehensive-3d"'),
}
"""The other class that says the same, with the setting that chooses it."""


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

    def is_met_by(self, written: Collection[tuple[str, ObjectKind]]) -> bool:
        """Return whether a result of which these were written, each with its form, is as the destination takes it.

        Of the kinds only key images are there of every result; what else is absent may have nothing to show.
        """
        forms = {form for form, _ in written}
        return self.form in forms and (ObjectKind.SC not in self.objects or (self.form, ObjectKind.SC) in written)

    @property
    def sop_classes(self) -> frozenset[str]:
        """The SOP classes of what the destination gets."""
        of_other_choices = {
            SegmentationStorage if self.label_map else LABEL_MAP_STORAGE,
            ComprehensiveSRStorage if self.comprehensive_3d else Comprehensive3DSRStorage,
        }
        return frozenset(uid for uid, kind in _KINDS.items() if kind in self.objects) - of_other_choices

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


def every_class() -> frozenset[str]:
    """Return the SOP classes of all that the host may write, whatever a destination is set to get."""
    return frozenset(_KINDS)


def distinct(options: Iterable[WriteOptions]) -> tuple[WriteOptions, ...]:
    """Return each form once, with all the objects that one of these destinations gets in it."""
    found: dict[str, WriteOptions] = {}
    for each in options:
        known = found.get(each.form, each)
        found[each.form] = replace(known, objects=known.objects | each.objects)
    return tuple(found.values())


def advice(sop_class: str, options: WriteOptions) -> str:
    """Return what to write in the settings of a destination that takes no such objects, empty for another class.

    A report that is refused as Comprehensive 3D SR, or a segmentation as a label map, goes in its older class; what
    is refused in that is left out, and the key image says the same in pixels.
    """
    kind = _KINDS.get(sop_class)
    if kind is None:
        return ""
    if sop_class in {LABEL_MAP_STORAGE, Comprehensive3DSRStorage}:
        _, key, value = _OTHER_CHOICES[sop_class]
        return f"write {key} = {value}"
    return f"write objects = {in_words(without(options.objects, kind))}"


def without(objects: frozenset[ObjectKind], refused: ObjectKind) -> frozenset[ObjectKind]:
    """Return the objects for an archive that refuses one kind: in place of SEG or SR it gets the key image.

    Where key images are refused it is the report that says what every result says; what takes no SEG takes no map.
    """
    instead = {ObjectKind.SC: ObjectKind.SR, ObjectKind.SEG: ObjectKind.SC, ObjectKind.SR: ObjectKind.SC}
    left_out = {refused, ObjectKind.PM} if refused is ObjectKind.SEG else {refused}
    return (objects | {instead[refused]} if refused in instead else objects) - left_out


def fitting(options: WriteOptions, taken: Collection[str]) -> Mapping[str, str]:
    """Return the settings to write for a destination that takes objects of these SOP classes only: key -> value.

    Empty where it takes what it is set to get, or takes neither report nor key image.
    """
    settings: dict[str, str] = {}
    for refused in options.sop_classes.difference(taken) & _OTHER_CHOICES.keys():
        other, key, value = _OTHER_CHOICES[refused]
        if other in taken:
            settings[key] = value
    kinds = {_KINDS[uid] for uid in taken if uid in _KINDS}
    objects = options.objects & kinds
    if {ObjectKind.SEG, ObjectKind.SR} & options.objects - kinds:
        objects |= {ObjectKind.SC} & kinds
    if not objects & {ObjectKind.SR, ObjectKind.SC}:
        objects |= {ObjectKind.SR} & kinds
    if objects != options.objects and objects & {ObjectKind.SR, ObjectKind.SC}:
        settings["objects"] = in_words(objects)
    return dict(sorted(settings.items()))


def in_words(objects: frozenset[ObjectKind]) -> str:
    """Return kinds of objects as the settings write them."""
    return json.dumps([word for word, kind in WORDS.items() if kind in objects])
