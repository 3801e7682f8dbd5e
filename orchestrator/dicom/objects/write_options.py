"""Write options of a destination: the object types, SOP classes and transfer syntax that it accepts."""

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
    """Transfer syntaxes of written objects."""

    EXPLICIT = "explicit"
    IMPLICIT = "implicit"
    DEFLATED = "deflated"

    @property
    def uid(self) -> UID:
        """The transfer syntax (PS3.5 A.1, A.2, A.5)."""
        return _UIDS[self]


LABEL_MAP_STORAGE = UID("1.2.840.10008.5.1.4.1.1.66.7")
"""Label Map Segmentation Storage; pydicom has no constant for it yet."""

_UIDS: Mapping[Syntax, UID] = {
    Syntax.EXPLICIT: ExplicitVRLittleEndian,
    Syntax.IMPLICIT: ImplicitVRLittleEndian,
    Syntax.DEFLATED: DeflatedExplicitVRLittleEndian,
}

USUAL_OBJECTS = frozenset({ObjectKind.SEG, ObjectKind.SR, ObjectKind.PM})
"""The objects of a result that a destination gets by default."""


WORDS: Mapping[str, ObjectKind] = {
    "seg": ObjectKind.SEG,
    "sr": ObjectKind.SR,
    "parametric-map": ObjectKind.PM,
    "key-image": ObjectKind.SC,
    "key-object": ObjectKind.KO,
    "presentation": ObjectKind.PR,
}
"""The name of each kind in the settings."""

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

_EQUIVALENTS: Mapping[str, tuple[str, str, str]] = {
    SegmentationStorage: (LABEL_MAP_STORAGE, "seg", '"labelmap"'),
    LABEL_MAP_STORAGE: (SegmentationStorage, "seg", '"binary"'),
    Comprehensive3DSRStorage: (ComprehensiveSRStorage, "sr", '"comprehensive"'),
    ComprehensiveSRStorage: (Comprehensive3DSRStorage, "sr", '"comprehensive-3d"'),
}
"""SOP class -> an equivalent SOP class with the setting that selects it: key, value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOptions:
    """The objects and encodings that a destination accepts.

    label_map: False for BINARY, which every archive accepts; LABELMAP is smaller, but 3D Slicer and others refuse it.
    comprehensive_3d: False for an archive that supports only Comprehensive SR.
    syntax: IMPLICIT for an archive that accepts nothing else; DEFLATED makes a segmentation much smaller.
    objects: the kinds of objects that the destination gets. SEG, maps and SR are always written, because the host
        reads its results from them. So ``objects`` does not change the form, and an object has one UID everywhere.
    """

    label_map: bool = False
    comprehensive_3d: bool = True
    syntax: Syntax = Syntax.EXPLICIT
    objects: frozenset[ObjectKind] = USUAL_OBJECTS

    def takes(self, record: ObjectRecord) -> bool:
        """Return whether the destination gets an object; objects of plugins go to every destination."""
        return record.kind in self.objects or record.kind is ObjectKind.OTHER

    def is_met_by(self, objects: Collection[tuple[str, ObjectKind]]) -> bool:
        """Return whether the objects of a result, as (form, kind), are complete for the destination.

        Only key images are checked by kind: every result has one. Another kind may be absent with good reason.
        """
        forms = {form for form, _ in objects}
        return self.form in forms and (ObjectKind.SC not in self.objects or (self.form, ObjectKind.SC) in objects)

    @property
    def sop_classes(self) -> frozenset[str]:
        """The SOP classes of the objects that the destination gets."""
        excluded_classes = {
            SegmentationStorage if self.label_map else LABEL_MAP_STORAGE,
            ComprehensiveSRStorage if self.comprehensive_3d else Comprehensive3DSRStorage,
        }
        return frozenset(uid for uid, kind in _KINDS.items() if kind in self.objects) - excluded_classes

    @property
    def form(self) -> str:
        """The name of this encoding: the words that differ from the default; empty for the default."""
        words = {
            "labelmap": self.label_map,
            "comprehensive": not self.comprehensive_3d,
            self.syntax.value: self.syntax is not Syntax.EXPLICIT,
        }
        return " ".join(word for word, applies in words.items() if applies)

    @property
    def uid_facts(self) -> Mapping[str, object]:
        """The options that UIDs depend on; ``syntax`` only if not the default, to keep UIDs of earlier versions."""
        facts: dict[str, object] = {"label_map": self.label_map, "comprehensive_3d": self.comprehensive_3d}
        return facts if self.syntax is Syntax.EXPLICIT else {**facts, "syntax": self.syntax.value}


def every_class() -> frozenset[str]:
    """Return the SOP classes of all objects that the host can write."""
    return frozenset(_KINDS)


def distinct(options: Iterable[WriteOptions]) -> tuple[WriteOptions, ...]:
    """Return each form once, with the objects that any of these destinations gets in it."""
    forms: dict[str, WriteOptions] = {}
    for each in options:
        other = forms.get(each.form, each)
        forms[each.form] = replace(other, objects=other.objects | each.objects)
    return tuple(forms.values())


def advice(sop_class: str, options: WriteOptions) -> str:
    """Return the setting to write for a destination that refuses a SOP class; empty for an unknown class.

    For Comprehensive 3D SR and label maps this is the older SOP class. For other classes the kind is omitted, and
    the key image shows its content.
    """
    kind = _KINDS.get(sop_class)
    if kind is None:
        return ""
    if sop_class in {LABEL_MAP_STORAGE, Comprehensive3DSRStorage}:
        _, key, value = _EQUIVALENTS[sop_class]
        return f"write {key} = {value}"
    return f"write objects = {setting_text(without(options.objects, kind))}"


def without(objects: frozenset[ObjectKind], kind: ObjectKind) -> frozenset[ObjectKind]:
    """Return the objects for an archive that refuses one kind.

    The key image replaces SEG and SR, the report replaces the key image. Without SEG there are no maps either.
    """
    instead = {ObjectKind.SC: ObjectKind.SR, ObjectKind.SEG: ObjectKind.SC, ObjectKind.SR: ObjectKind.SC}
    omit = {kind, ObjectKind.PM} if kind is ObjectKind.SEG else {kind}
    return (objects | {instead[kind]} if kind in instead else objects) - omit


def fit_settings(options: WriteOptions, sop_classes: Collection[str]) -> Mapping[str, str]:
    """Return key -> value of the settings for a destination that accepts only these SOP classes.

    Empty where the options fit already, or where the destination accepts neither report nor key image.
    """
    settings: dict[str, str] = {}
    for sop_class in options.sop_classes.difference(sop_classes) & _EQUIVALENTS.keys():
        other, key, value = _EQUIVALENTS[sop_class]
        if other in sop_classes:
            settings[key] = value
    kinds = {_KINDS[uid] for uid in sop_classes if uid in _KINDS}
    objects = options.objects & kinds
    if {ObjectKind.SEG, ObjectKind.SR} & options.objects - kinds:
        objects |= {ObjectKind.SC} & kinds
    if not objects & {ObjectKind.SR, ObjectKind.SC}:
        objects |= {ObjectKind.SR} & kinds
    if objects != options.objects and objects & {ObjectKind.SR, ObjectKind.SC}:
        settings["objects"] = setting_text(objects)
    return dict(sorted(settings.items()))


def setting_text(objects: frozenset[ObjectKind]) -> str:
    """Return kinds of objects as a value of the settings."""
    return json.dumps([word for word, kind in WORDS.items() if kind in objects])
