"""Who made an object and when; the one place where dates and generated UIDs are set."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code as PydicomCode
from pydicom.uid import UID

from orchestrator import __version__
from orchestrator.dicom.objects.uid import IMPLEMENTATION_CLASS_UID, derived_uid
from orchestrator.domain.code import Code
from orchestrator.domain.model import ModelDescription

HOST = "radiology-orchestrator"
UNVERIFIED = "AI inference, not verified by a physician"
OWN_SCHEME = "99ORCH"

_QUALIFICATIONS = ("PRODUCT", "RESEARCH", "SERVICE")  # the later, the more caution (PS3.3 C.8.13.2.1.1)
_LONGEST_TEXT = 64  # VR LO


@dataclass(frozen=True, slots=True)
class Clock:
    """The job's time as its objects state it.

    at: with a zone: the source's Timezone Offset From UTC where it has one, else the host's.
        DA and TM are then local to the source as PS3.3 C.12.1.1.8 asks; DT carry their own offset. An
        offset of our own is not written: it would also claim the zone of the copied Study Time.
    """

    at: datetime

    @classmethod
    def of(cls, created_at: datetime, offset: str) -> Clock:
        """Return the clock of a job for a source with this Timezone Offset From UTC ("" = none)."""
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
class Uids:
    """All UIDs of one job: they follow from the job key and the content, so a retry gives the same."""

    job_key: str
    content_digest: str

    def of(self, kind: str, *parts: str) -> str:
        """Return the UID of one thing."""
        return derived_uid(self.job_key, self.content_digest, kind, *parts)


def equipment(model: ModelDescription) -> Dataset:
    """Return the General Equipment module (PS3.3 C.7.5.1) naming model and host; none of it is empty."""
    made = Dataset()
    made.Manufacturer = text_of(model.manufacturer) or HOST
    made.ManufacturerModelName = text_of(model.name)
    made.DeviceSerialNumber = text_of(model.digest) or "unknown"
    made.SoftwareVersions = [text_of(model.version) or "unknown", f"{HOST} {__version__}"]
    return made


def contribution(model: ModelDescription, clock: Clock, description: str = UNVERIFIED) -> Dataset:
    """Return the Contributing Equipment item (109102, DCM) that survives systems which know no SR."""
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [code_item(codes.DCM.ProcessingEquipment)]
    item.Manufacturer = HOST
    item.ManufacturerModelName = text_of(model.name)
    item.DeviceSerialNumber = text_of(model.digest) or "unknown"
    item.SoftwareVersions = [text_of(model.version) or "unknown", f"{HOST} {__version__}"]
    item.ContributionDateTime = clock.date_time
    item.ContributionDescription = description
    return item


def device_uid(model: ModelDescription) -> str:
    """Return the UID of the device observer; stable for a version of a model."""
    return derived_uid("device", model.name, model.version, model.digest)


def qualification(model: ModelDescription, source: str) -> str:
    """Return the Content Qualification: the more cautious one of model and source; RESEARCH where unknown."""
    stated = [value for value in (model.qualification.upper(), source.upper()) if value in _QUALIFICATIONS]
    return max([*stated, "PRODUCT" if stated else "RESEARCH"], key=_QUALIFICATIONS.index)


def series_number(model: ModelDescription, kind: str) -> int:
    """Return a Series Number that is the same for every object of this model and kind."""
    return 90_000 + zlib.crc32(f"{model.name} {kind}".encode()) % 10_000


def series_description(model: ModelDescription, kind: str, title: str = "AI UNVERIFIED") -> str:
    """Return the only text that every PACS shows, at most 64 characters; a long model name is cut."""
    room = _LONGEST_TEXT - len(f"{title}  {kind}")
    return f"{title} {text_of(model.name)[:room].strip()} {kind}"


def stamp(dataset: Dataset, clock: Clock, uids: Uids, kind: str, *parts: str) -> None:
    """Set every date and every generated UID of an object from the job, whatever its builder put there.

    parts: what tells it from the other objects of its series, and from the same one with other content.
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


def text_of(text: str) -> str:
    """Return text fit for LO: printable, no backslash, at most 64 characters."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return printable.replace("\\", "/").strip()[:_LONGEST_TEXT].strip()
