"""Equipment, time and UIDs of written objects. Dates and generated UIDs are set only here."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code as PydicomCode
from pydicom.uid import UID

from orchestrator import __version__
from orchestrator.dicom.objects.uid import IMPLEMENTATION_CLASS_UID, derive_uid
from orchestrator.domain.code import Code
from orchestrator.domain.model import ModelDescription

HOST = "radiology-orchestrator"
UNVERIFIED = "AI inference, not verified by a physician"
OWN_SCHEME = "99ORCH"

_QUALIFICATIONS = ("PRODUCT", "RESEARCH", "SERVICE")  # from least to most caution (PS3.3 C.8.13.2.1.1)
_LONGEST_TEXT = 64  # VR LO
_TITLE = "AI UNVERIFIED"
_ROOM_FOR_VIEWS = len("L CC, L MLO, R CC, R MLO")


@dataclass(frozen=True, slots=True)
class Clock:
    """The time of a job, in the format of the objects.

    at: in the time zone of the source (Timezone Offset From UTC), else of the host. So DA and TM are local to the
        source, as PS3.3 C.12.1.1.8 requires; DT has its own offset. The host adds no Timezone Offset From UTC,
        because this would also apply to the copied Study Time.
    """

    at: datetime

    @classmethod
    def of(cls, created_at: datetime, offset: str) -> Clock:
        """Return the clock of a job for a source with this Timezone Offset From UTC; empty if it has none."""
        match = re.fullmatch(r"([+-])(\d\d)(\d\d)", offset.strip())
        if match is None:
            return cls(created_at.astimezone())
        sign = -1 if match[1] == "-" else 1
        return cls(created_at.astimezone(timezone(sign * timedelta(hours=int(match[2]), minutes=int(match[3])))))

    @property
    def date(self) -> str:
        """The day as DA."""
        return f"{self.at:%Y%m%d}"

    @property
    def time(self) -> str:
        """The time as TM."""
        return f"{self.at:%H%M%S.%f}"

    @property
    def date_time(self) -> str:
        """The moment as DT with its offset."""
        return f"{self.at:%Y%m%d%H%M%S.%f%z}"


@dataclass(frozen=True, slots=True)
class DerivedUids:
    """Generates the UIDs of one job from job key and content, so that a retry gives the same UIDs."""

    job_key: str
    content_digest: str

    def of(self, kind: str, *parts: str) -> str:
        """Return the UID of one object, series or item of the job."""
        return derive_uid(self.job_key, self.content_digest, kind, *parts)


def equipment(model: ModelDescription) -> Dataset:
    """Return the General Equipment module (PS3.3 C.7.5.1) with model and host; no attribute is empty."""
    module = Dataset()
    module.Manufacturer = clean_text(model.manufacturer) or HOST
    module.ManufacturerModelName = clean_text(model.name)
    module.DeviceSerialNumber = clean_text(model.digest) or "unknown"
    module.SoftwareVersions = [clean_text(model.version) or "unknown", f"{HOST} {__version__}"]
    return module


def contribution(model: ModelDescription, clock: Clock, description: str = UNVERIFIED) -> Dataset:
    """Return the Contributing Equipment item (109102, DCM): it marks AI objects also for systems without SR support."""
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [code_item(codes.DCM.ProcessingEquipment)]
    item.Manufacturer = HOST
    item.ManufacturerModelName = clean_text(model.name)
    item.DeviceSerialNumber = clean_text(model.digest) or "unknown"
    item.SoftwareVersions = [clean_text(model.version) or "unknown", f"{HOST} {__version__}"]
    item.ContributionDateTime = clock.date_time
    item.ContributionDescription = description
    return item


def device_uid(model: ModelDescription) -> str:
    """Return the UID of the device observer; it is the same for all jobs of a model version."""
    return derive_uid("device", model.name, model.version, model.digest)


def qualification(model: ModelDescription, source: str) -> str:
    """Return the Content Qualification: the more cautious of model and source; RESEARCH where both lack one."""
    values = [value for value in (model.qualification.upper(), source.upper()) if value in _QUALIFICATIONS]
    return max([*values, "PRODUCT" if values else "RESEARCH"], key=_QUALIFICATIONS.index)


def series_number(model: ModelDescription, kind: str) -> int:
    """Return the Series Number of all objects of this model and kind."""
    return 90_000 + zlib.crc32(f"{model.name} {kind}".encode()) % 10_000


def series_description(model: ModelDescription, kind: str, views: Sequence[str] = ()) -> str:
    """Return the Series Description, at most 64 characters: the only text that every PACS shows.

    views: side and view of the images, ``R MLO``; too many of them are only counted.
    """
    named = clean_text(", ".join(views))
    end = f"{named if len(named) <= _ROOM_FOR_VIEWS else f'{len(views)} views'} {kind}".strip()
    room = _LONGEST_TEXT - len(f"{_TITLE}  {end}")
    return f"{_TITLE} {clean_text(model.name)[:room].strip()} {end}"


def stamp(dataset: Dataset, clock: Clock, uids: DerivedUids, kind: str, *parts: str) -> None:
    """Set all dates and generated UIDs of an object, replacing those of its builder.

    parts: distinguish the object from others in its series.
    """
    dataset.InstanceCreationDate = dataset.ContentDate = dataset.SeriesDate = clock.date
    dataset.InstanceCreationTime = dataset.ContentTime = dataset.SeriesTime = clock.time
    dataset.SeriesInstanceUID = uids.of(kind, "series")
    dataset.SOPInstanceUID = uids.of(kind, *parts)
    dataset.file_meta.MediaStorageSOPInstanceUID = UID(dataset.SOPInstanceUID)
    dataset.file_meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    dataset.file_meta.ImplementationVersionName = f"ORCHESTRATOR {__version__}"[:16]


def code_item(code: Code | PydicomCode) -> Dataset:
    """Return a coded concept as an item of a code sequence (PS3.3 section 8)."""
    item = Dataset()
    value, scheme = (code.value, code.scheme) if isinstance(code, Code) else (code.value, code.scheme_designator)
    setattr(item, "CodeValue" if len(value) <= 16 else "LongCodeValue", value)
    item.CodingSchemeDesignator = scheme
    item.CodeMeaning = code.meaning
    return item


def clean_text(text: str) -> str:
    """Return text that is valid as LO: printable, no backslash, at most 64 characters."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return printable.replace("\\", "/").strip()[:_LONGEST_TEXT].strip()
