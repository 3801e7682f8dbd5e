"""Sends each kind of result object to an archive, reads it back, and says which settings fit."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from pydicom.uid import ParametricMapStorage

from orchestrator.app.doctor.check import Check, Health
from orchestrator.app.doctor.test_patient import IMAGES, TestObjects, write_test_study
from orchestrator.app.installation.write_options import write_options
from orchestrator.config import DestinationSettings, RemoteSettings
from orchestrator.dicom import WriteOptions
from orchestrator.dicom.objects.write_options import fit_settings
from orchestrator.domain.errors import ArchiveRefused, OrchestratorError
from orchestrator.domain.ports import Archive, Committing

SAMPLE_IMAGES = range(5, 101)
"""Number of images of a series that is fetched as a sample: enough to time, few enough to wait for."""
STALL_SECONDS = (0.030, 0.070)
"""Delay of each image by Nagle's algorithm and delayed acknowledgements together: about 40 ms."""
STALL_ADVICE = "set TCP_NODELAY=1 in the environment of the archive: without it Orthanc and DCMTK answer 40 ms late"
READ_BACK_ADVICE = 'no fault if the archive stores objects with a delay; otherwise write confirm = "none"'
ACCEPT_IMAGES_ADVICE = "configure the archive to accept CT images from this host's AE title or user"


def try_objects(archive: Archive, item: RemoteSettings) -> Iterator[Check]:
    """Yield a check of the images and of each kind of object: whether the archive accepts it and returns it.

    All kinds are sent, so that the line ``objects`` can say which settings fit. Only a kind that the settings send to
    this destination has a line of its own. A refused parametric map is a warning only: few models return one.
    """
    options = write_options(item) if isinstance(item, DestinationSettings) else WriteOptions()
    read_back = not isinstance(item, DestinationSettings) or item.ask
    with TemporaryDirectory() as folder:
        images, *objects = write_test_study(Path(folder), options.syntax)
        yield _check_store(archive, images, read_back)[0]
        attempts = [(each, *_check_store(archive, each, read_back)) for each in objects]
        selection = [each for each in objects if each.sop_class in options.sop_classes]
        yield from (check for each, check, _ in attempts if each in selection)
        accepts = [each for each, _, is_accepted in attempts if is_accepted]
        yield _check_selection(objects, accepts, options)
        if isinstance(archive, Committing) and isinstance(item, DestinationSettings) and item.confirm == "commitment":
            study = [images, *(each for each in selection if each in accepts)]
            yield run_check("commitment", lambda: _check_commitment(archive, study))
    state = f"stored with patient ID {images.patient_id}, study {images.study_uid}; you may delete it from the archive"
    yield Check("test study", Health.GOOD, state)


def run_check(name: str, function: Callable[[], Check]) -> Check:
    """Return the check of the function; a bad one with the error message if the function raises."""
    try:
        return function()
    except (OrchestratorError, OSError) as fault:
        return Check(name, Health.BAD, str(fault))


def check_pace(name: str, count: int, noun: str, seconds: float) -> Check:
    """Return the time per object; a warning if it looks like delayed TCP packets. noun: of the objects."""
    state = f"{count} {noun}, {seconds * 1000:.1f} ms each"
    if count in SAMPLE_IMAGES and STALL_SECONDS[0] <= seconds <= STALL_SECONDS[1]:
        return Check(name, Health.WARNING, f"{state}: slow, probably Nagle's algorithm", STALL_ADVICE)
    return Check(name, Health.GOOD, state)


def _check_selection(objects: Sequence[TestObjects], accepts: Sequence[TestObjects], options: WriteOptions) -> Check:
    """Return which kinds the archive accepts, and which settings to write if it refuses one that they select."""
    refusals = [each.kind for each in objects if each not in accepts]
    state = f"accepts {_join([each.kind for each in accepts])}" + (f"; refuses {_join(refusals)}" * bool(refusals))
    classes = [each.sop_class for each in accepts]
    lacking = options.sop_classes.difference(classes)
    if not lacking:
        return Check("objects", Health.GOOD, state)
    health = Health.WARNING if lacking == {ParametricMapStorage} else Health.BAD
    return Check("objects", health, state, _advise(options, classes))


def _advise(options: WriteOptions, classes: Collection[str]) -> str:
    settings = fit_settings(options, classes)
    if not settings:
        return "configure the archive to accept a report (Comprehensive SR) or a Secondary Capture; results need one"
    return "write " + ", ".join(f"{key} = {value}" for key, value in settings.items())


def _join(names: Sequence[str]) -> str:
    return ", ".join(names) or "no kind of object"


def _check_store(archive: Archive, objects: TestObjects, read_back: bool) -> tuple[Check, bool]:
    """Return the check of sending these, and False if the archive refused them. An unreachable one refused nothing."""
    name = f"store {objects.kind}"
    try:
        seconds = _store(archive, objects)
    except ArchiveRefused as fault:
        health = Health.WARNING if objects.sop_class == ParametricMapStorage else Health.BAD
        return Check(name, health, str(fault), ACCEPT_IMAGES_ADVICE if objects.kind == IMAGES else ""), False
    except (OrchestratorError, OSError) as fault:
        return Check(name, Health.BAD, str(fault)), True
    count = len(objects.paths)
    if not read_back:
        return check_pace(name, count, f"{_noun(count)}, not read back", seconds), True
    return run_check(name, lambda: _check_read_back(archive, objects, seconds)), True


def _store(archive: Archive, objects: TestObjects) -> float:
    """Return the seconds per object."""
    start = time.perf_counter()
    archive.store(objects.paths)
    return (time.perf_counter() - start) / len(objects.paths)


def _noun(count: int) -> str:
    return "object" if count == 1 else "objects"


def _check_read_back(archive: Archive, objects: TestObjects, seconds: float) -> Check:
    name, count = f"store {objects.kind}", len(objects.paths)
    missing = archive.missing(objects.references)
    if missing:
        state = f"accepted, but a query does not find {len(missing)} of {count} {_noun(count)}"
        return Check(name, Health.BAD, state, READ_BACK_ADVICE)
    return check_pace(name, count, f"{_noun(count)}, read back", seconds)


def _check_commitment(archive: Committing, study: Sequence[TestObjects]) -> Check:
    references = [reference for objects in study for reference in objects.references]
    refusals, count = archive.uncommitted(references), len(references)
    if refusals:
        state = f"refused for {len(refusals)} of {count} {_noun(count)}"
        return Check("commitment", Health.BAD, state, 'ask the vendor why, or write confirm = "readback"')
    return Check("commitment", Health.GOOD, f"given for {count} {_noun(count)}")
