"""Builds a series from instances: facts for rules, intended use of models, signs of completeness."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date

from orchestrator.dicom.headers.attributes import distinct, number, text
from orchestrator.dicom.headers.geometry import geometry_facts, is_regular
from orchestrator.dicom.read.kinds import machine_written
from orchestrator.dicom.read.selection import select
from orchestrator.domain.errors import InputFault, UnsupportedInput
from orchestrator.domain.images import LeftOut
from orchestrator.domain.model import Intended
from orchestrator.domain.series import Headers, Instance, Series

_YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}


def gather(instances: Collection[Instance], *, revision: int = 1, host_facts: Headers | None = None) -> Series:
    """Return the instances as a series with its facts; each instance is read or left out (``select``).

    Facts are the distinct attribute values over the images that are read, so that no stray object decides anything.
    To these come InstanceCount, FrameCount, MachineWritten (``yes``) and ``host_facts`` (Source, CallingAETitle,
    CalledAETitle). Images with patient geometry add Orientation (axial, coronal, sagittal, oblique), TimePoints and,
    where it is uniform, SliceSpacing (mm).
    Raises ValueError without instances.
    """
    if not instances:
        raise ValueError("a series has at least one instance")
    members = select(instances)
    images = [instance for instance in members if instance.left_out in (None, LeftOut.SHARED_UID)]
    facts = distinct([instance.headers for instance in images])
    facts |= {"InstanceCount": (len(images),), "FrameCount": (sum(instance.frames for instance in images),)}
    facts |= geometry_facts([instance.plane for instance in images if instance.plane is not None])
    if any(map(machine_written, images)):
        facts["MachineWritten"] = ("yes",)
    return Series(members[0].study_uid, members[0].series_uid, revision, members, facts | dict(host_facts or {}))


def gap_free(instances: Collection[Instance]) -> bool:
    """Return True for two or more equally spaced images of one orientation, without a gap in their numbers.

    This suggests that a series is complete, but does not prove it: half a chest has no gap either.
    """
    images = [instance for instance in select(instances) if instance.left_out is None]
    planes = [instance.plane for instance in images if instance.plane is not None]
    numbers = sorted(int(number(instance.headers, "InstanceNumber") or 0) for instance in images)
    if len(planes) < max(2, len(images)):
        return False
    contiguous = numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    return contiguous and is_regular(planes)


def expected_count(instances: Collection[Instance]) -> int | None:
    """Return the expected number of images, from Images in Acquisition (0020,1002).

    None where the values differ, where there are several acquisitions, or where more images have arrived already.
    """
    counts = {number(instance.headers, "ImagesInAcquisition") for instance in instances}
    acquisitions = {number(instance.headers, "AcquisitionNumber") for instance in instances}
    if len(counts) != 1 or len(acquisitions) != 1 or (count := counts.pop()) is None:
        return None
    return int(count) if count >= max(1, len(instances)) else None


def check_intended(series: Series, intended: Intended) -> None:
    """Check that the series is within the intended use of the model.

    Raises UnsupportedInput (OUTSIDE_INTENDED_USE) where it is not, or where the headers do not say.
    """
    facts = series.facts
    _check_term("modality", facts, ("Modality",), intended.modality)
    _check_term("body part", facts, ("BodyPartExamined",), intended.body_part)
    _check_term("sex", facts, ("PatientSex",), intended.sex)
    _check_age(facts, intended.minimum_age_years, intended.maximum_age_years)
    if intended.contrast is not None and intended.contrast != ("ContrastBolusAgent" in facts):
        expected, actual = ("with", "without") if intended.contrast else ("without", "with")
        raise _outside(f"the model is for images {expected} contrast, these are {actual}")


def _check_term(name: str, facts: Headers, keywords: Sequence[str], terms: Sequence[str]) -> None:
    if not terms:
        return
    values = {str(value).upper() for keyword in keywords for value in facts.get(keyword, ())}
    if not values:
        raise _outside(f"the {name} is unknown, the model is for {' or '.join(terms)}")
    if not values <= {term.upper() for term in terms}:
        # sex is patient data: the message says that it differs, not its value
        actual = "differs" if name == "sex" else f"is {' or '.join(sorted(values))}"
        raise _outside(f"the {name} {actual}, the model is for {' or '.join(terms)}")


def _check_age(facts: Headers, minimum: float | None, maximum: float | None) -> None:
    if minimum is None and maximum is None:
        return
    age = age_years(facts)
    if age is None:
        raise _outside("the age is unknown, and the model has age limits")
    if minimum is not None and age < minimum:
        raise _outside(f"the age is below {minimum:g}")
    years = int(age) if maximum is not None and float(maximum).is_integer() else age  # 80 until the 81st birthday
    if maximum is not None and years > maximum:
        raise _outside(f"the age is above {maximum:g}")


def age_years(facts: Headers) -> float | None:
    """Return the age at the study, from birth date and study date, else from PatientAge; None where unknown."""
    birth_date, study_date = _date(text(facts, "PatientBirthDate")), _date(text(facts, "StudyDate"))
    if birth_date and study_date and birth_date <= study_date:
        return _years_between(birth_date, study_date)
    age = text(facts, "PatientAge").strip().upper()
    if len(age) >= 2 and age[:-1].isdigit() and age[-1] in _YEARS:
        return int(age[:-1]) * _YEARS[age[-1]]
    return None


def _years_between(birth: date, day: date) -> float:
    """Return completed years plus the fraction of the current year."""
    years = day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))
    days = (day - birth).days - years * 365.2425
    return years + min(max(days, 0.0) / 366, 0.999)


def _date(value: str) -> date | None:
    try:
        return date(int(value[:4]), int(value[4:6]), int(value[6:8])) if len(value) == 8 else None
    except ValueError:
        return None


def _outside(reason: str) -> UnsupportedInput:
    return UnsupportedInput(InputFault.OUTSIDE_INTENDED_USE, reason)
