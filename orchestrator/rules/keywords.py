"""Keywords that rules may use: DICOM keywords, facts of this host and facts of plugins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from pydicom.datadict import dictionary_VR, keyword_dict, keyword_for_tag

from orchestrator.domain.errors import RulesError
from orchestrator.rules.values import VR_KINDS, Kind


@dataclass(frozen=True, slots=True)
class HostFact:
    """A fact about a series that the host computes; ``values`` lists every possible value where there are few."""

    name: str
    kind: Kind
    description: str
    values: tuple[str, ...] = ()


HOST_FACTS: Mapping[str, HostFact] = {
    fact.name: fact
    for fact in (
        HostFact(
            "InstanceCount",
            Kind.NUMBER,
            "Images of the series, without those left out; an enhanced multi-frame image is one.",
        ),
        HostFact("FrameCount", Kind.NUMBER, "Images: the frames of all instances."),
        HostFact("SliceSpacing", Kind.NUMBER, "Usual distance between neighbouring slices in mm."),
        HostFact(
            "Orientation",
            Kind.TEXT,
            "The plane of the slices, from ImageOrientationPatient; oblique where it is far from all three.",
            ("axial", "coronal", "sagittal", "oblique"),
        ),
        HostFact("TimePoints", Kind.NUMBER, "How often each place was imaged: 1, or more in a dynamic series."),
        HostFact("Source", Kind.TEXT, "Where the series came from: the name of its archive, `receiver` or `stow-rs`."),
        HostFact("CallingAETitle", Kind.TEXT, "AE title of the sender."),
        HostFact("CalledAETitle", Kind.TEXT, "AE title under which the sender called this host."),
        HostFact(
            "MachineWritten",
            Kind.TEXT,
            "`yes` where this host or another AI wrote the objects. Such a series matches no rule anyway.",
            ("yes", "no"),
        ),
    )
}

# PS3.3 C.7.3.1.1.1, with the retired terms that old studies still hold
_MODALITIES = (
    "ANN AR ASMT AU BDUS BI BMD CD CF CFM CP CR CS CT CTPROTOCOL DD DF DG DM DMS DOC DS DX EC ECG EEG EM EMG EOG EPS "
    "ES FA FID FS GM HC HD IO IOL IVOCT IVUS KER KO LEN LP LS MA MG MR M3D MS NM OAM OCT OP OPM OPR OPT OPTBSV OPTENF "
    "OPV OSS OT PA PLAN PLETH POS PR PT PX REG RESP RF RG RTDOSE RTIMAGE RTINTENT RTPLAN RTRAD RTRECORD RTSEGANN "
    "RTSTRUCT RWV SEG SM SMR SR SRF ST STAIN TEXTUREMAP TG US VA VF XA XAPROTOCOL XC"
)
_YES_NO = ("YES", "NO")
TERMS: Mapping[str, tuple[str, ...]] = {
    "Modality": tuple(_MODALITIES.split()),
    "PatientSex": ("M", "F", "O"),
    "Laterality": ("L", "R"),
    "ImageLaterality": ("L", "R", "U", "B"),
    "QualityControlImage": (*_YES_NO, "BOTH"),
    "QualityControlSubject": _YES_NO,
    "BurnedInAnnotation": _YES_NO,
    "RecognizableVisualFeatures": _YES_NO,
    "PatientIdentityRemoved": _YES_NO,
    "LossyImageCompression": ("00", "01"),
    **{fact.name: fact.values for fact in HOST_FACTS.values() if fact.values},
}
"""All values that a keyword can have, so that ``Modality = "MRI"`` is a fault and not silently false."""


_GROUPS_OUTSIDE_IMAGES = (0x0000, 0x0002, 0x0004)
"""Groups of network messages, file meta information and DICOMDIR (PS3.6 tables 7-1 and 8-1, PS3.7 E)."""

_NESTED = (
    "CodeMeaning CodeValue CodingSchemeDesignator CodingSchemeVersion ReferencedSOPClassUID ReferencedSOPInstanceUID"
)
"""Keywords that occur only inside sequences, which give a series no facts (PS3.3 8.8 and 10.8)."""


class Keywords:
    """The keywords that a rules file may use; ``extra_facts`` are those of plugins (name -> kind)."""

    def __init__(self, extra_facts: Mapping[str, str]) -> None:
        """Raise RulesError for a fact of a plugin that has the name of a keyword or an unknown kind."""
        self._facts = {fact.name: fact.kind for fact in HOST_FACTS.values()}
        for name, kind in extra_facts.items():
            if name in self._facts or name in keyword_dict:
                raise RulesError(
                    f"A plugin adds the fact {name!r}, but that name is in use. Rename the fact in the plugin."
                )
            if kind not in list(Kind):
                raise RulesError(
                    f"A plugin adds the fact {name!r} of the unknown kind {kind!r}. Use one of {', '.join(Kind)}."
                )
            self._facts[name] = Kind(kind)

    def kind(self, keyword: str) -> Kind:
        """Return the kind of the keyword's values.

        Raises LookupError for an unknown keyword, and ValueError with a sentence for one that rules cannot compare.
        """
        if keyword in self._facts:
            return self._facts[keyword]
        if not keyword or keyword not in keyword_dict:  # retired elements have an empty keyword
            raise LookupError(keyword)
        if not _is_image_attribute(keyword):
            raise ValueError(f"{keyword!r} is not an attribute of the image itself, so the rule would never match")
        vr = dictionary_VR(keyword_dict[keyword])
        if vr not in VR_KINDS:
            raise ValueError(f"{keyword!r} has the VR {vr}; rules cannot compare sequences and binary values")
        return VR_KINDS[vr]

    def names(self) -> frozenset[str]:
        """Return every name that a rule may use."""
        return _comparable_keywords() | self._facts.keys()


@cache
def _comparable_keywords() -> frozenset[str]:
    return frozenset(
        name for name, tag in keyword_dict.items() if _is_image_attribute(name) and dictionary_VR(tag) in VR_KINDS
    )


def _is_image_attribute(keyword: str) -> bool:
    return keyword_dict[keyword] >> 16 not in _GROUPS_OUTSIDE_IMAGES and keyword not in _NESTED.split()


def find_keyword(tag: str) -> str:
    """Return the keyword of a tag such as (0008,0060) or 00080060, empty for any other text."""
    digits = tag.strip("() ").replace(",", "").replace(" ", "")
    try:
        return keyword_for_tag(int(digits, 16)) if len(digits) == 8 else ""
    except ValueError:
        return ""
