"""Instances, the series that they form, and the identity of patient and study."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.domain.images import ImageCount, LeftOut

HeaderValue = str | float | int
Headers = Mapping[str, tuple[HeaderValue, ...]]
"""DICOM keyword -> its values; numbers for DS, IS, FL, FD, SS, US, SL, UL, text for the rest."""


@dataclass(frozen=True, slots=True)
class Plane:
    """Where an image lies: PS3.3 C.7.6.2. position and orientation are LPS; spacing (row, column) mm."""

    position: tuple[float, float, float]
    orientation: tuple[float, float, float, float, float, float]
    spacing: tuple[float, float]


@dataclass(frozen=True, slots=True)
class PixelLocation:
    """Where the pixel values lie in a file, so that they are read without parsing it again.

    keyword: PixelData, FloatPixelData or DoubleFloatPixelData.
    offset: of the value's first byte; None in a deflated file.
    length: of the value in bytes; None where it is encapsulated (compressed frames).
    file_size: bytes of the whole file; any other size later means that it is another file.
    """

    transfer_syntax: str
    keyword: str
    offset: int | None
    length: int | None
    file_size: int


@dataclass(frozen=True, slots=True)
class Instance:
    """One stored file: its identity, its digest and what its header says.

    digest: sha256 over pixels, geometry, laterality and identity; equal for a plain re-send,
        different for a corrected one.
    plane: None for multi-frame images and for images without patient geometry.
    pixels: None where the object has none (reports, presentation states).
    left_out: why no model reads it; None for the images that models read. ``gather`` decides for those of a series.
    sender: AE title, or name of the source, that brought it; empty where that is not known.
    """

    study_uid: str
    series_uid: str
    sop_uid: str
    sop_class: str
    path: Path
    digest: str
    frames: int = 1
    plane: Plane | None = None
    headers: Headers = field(default_factory=dict)
    pixels: PixelLocation | None = None
    left_out: LeftOut | None = None
    sender: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """All instances of one revision of a series, in no particular order; each is read or left out.

    facts: keyword -> distinct values over the images that are read, and host facts (InstanceCount, Source,
        CallingAETitle, CalledAETitle, SliceSpacing, Orientation, ...).
    """

    study_uid: str
    series_uid: str
    revision: int
    instances: tuple[Instance, ...]
    facts: Headers

    @property
    def images(self) -> tuple[Instance, ...]:
        """The instances that models read."""
        return tuple(instance for instance in self.instances if instance.left_out is None)

    @property
    def count(self) -> ImageCount:
        """How many instances came and are read, and why the others are left out."""
        return count_images(self.instances)


def count_images(instances: Collection[Instance]) -> ImageCount:
    """Return how many of the instances are read, and why the others are left out."""
    left_out = {instance.sop_uid: instance.left_out for instance in instances if instance.left_out is not None}
    return ImageCount(len(instances), len(instances) - len(left_out), left_out)


@dataclass(frozen=True, slots=True)
class StudyIdentity:
    """Patient and study as an archive holds them now; compared before anything is sent.

    Empty text means absent. Names are kept as DICOM writes them (PS3.5 6.2, PN).
    """

    patient_id: str
    issuer_of_patient_id: str
    patient_name: str
    birth_date: str
    sex: str
    accession_number: str
    study_uid: str

    def differences(self, held: StudyIdentity) -> tuple[str, ...]:
        """Return the DICOM keywords in which the archive's view ``held`` differs from this one.

        PatientID, PatientName and AccessionNumber are required keys of a study query (PS3.4 C.6.2.1),
        so they must agree; the optional ones count only where both sides have a value, since an
        archive may leave an optional key out of its answer.
        """
        required = ("PatientID", "PatientName", "AccessionNumber", "StudyInstanceUID")
        optional = ("IssuerOfPatientID", "PatientBirthDate", "PatientSex")
        mine, theirs = self._by_keyword(), held._by_keyword()
        return tuple(
            keyword
            for keyword in required + optional
            if mine[keyword] != theirs[keyword] and (keyword in required or (mine[keyword] and theirs[keyword]))
        )

    def _by_keyword(self) -> dict[str, str]:
        return {
            "PatientID": self.patient_id.strip(),
            "IssuerOfPatientID": self.issuer_of_patient_id.strip(),
            "PatientName": _significant(self.patient_name),
            "PatientBirthDate": self.birth_date.strip(),
            "PatientSex": self.sex.strip().upper(),
            "AccessionNumber": self.accession_number.strip(),
            "StudyInstanceUID": self.study_uid,
        }


def _significant(name: str) -> str:
    """Return a person name without the trailing delimiters and blanks that carry no meaning (PS3.5 6.2.1)."""
    groups = [group.strip().rstrip("^ ") for group in name.split("=")]
    return "=".join(groups).rstrip("=")


def series_digest(instances: Iterable[Instance]) -> str:
    """Return one digest over the identity and content of all instances, whatever their order."""
    lines = sorted(f"{instance.sop_uid} {instance.digest}" for instance in instances)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
