"""Which objects of a result an archive takes and shows again, and which settings follow from that."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from pydicom.uid import ParametricMapStorage

from orchestrator.app.doctor.check import Check, Health
from orchestrator.app.doctor.test_patient import IMAGES, TrialObjects, write_trial_study
from orchestrator.app.installation.write_options import write_options
from orchestrator.config import DestinationSettings, RemoteSettings
from orchestrator.dicom import WriteOptions
from orchestrator.dicom.objects.write_options import fit_settings
from orchestrator.domain.errors import ArchiveRefused, OrchestratorError
from orchestrator.domain.ports import Archive, Committing

SAMPLE_IMAGES = range(5, 101)
"""How many images a series has that is fetched as a sample: enough to time, few enough to wait for."""
STALL_SECONDS = (0.030, 0.070)
"""Per image: what Nagle's algorithm and delayed acknowledgements cost together, about 40 ms."""
STALL_ADVICE = "set TCP_NODELAY=1 in the environment of the archive: Orthanc and DCMTK answer 40 ms late without it"
FILED_LATER = 'where it files objects only after a while nothing is wrong; else confirm = "none"'
LET_IT_TAKE_IMAGES = "let it take CT images from this host's AE title or user"


def try_objects(archive: Archive, item: RemoteSettings) -> Iterator[Check]:
    """Yield whether images and each kind of object are taken and shown again; the same objects each time.

    A kind that it is not set to get may be refused: it is tried, so that the settings can be chosen. A parametric
    map, which few models give, is no fault where it is refused.
    """
    options = write_options(item) if isinstance(item, DestinationSettings) else WriteOptions()
    asks = not isinstance(item, DestinationSettings) or item.ask
    with TemporaryDirectory() as folder:
        images, *objects = write_trial_study(Path(folder), options.syntax)
        yield _stored(archive, images, asks)[0]
        looks = [(each, *_stored(archive, each, asks)) for each in objects]
        set_to_get = [each for each in objects if each.sop_class in options.sop_classes]
        yield from (check for each, check, _ in looks if each in set_to_get)
        taken = [each for each, _, is_taken in looks if is_taken]
        yield _choice(objects, taken, options)
        if isinstance(archive, Committing) and isinstance(item, DestinationSettings) and item.confirm == "commitment":
            sent = [images, *(each for each in set_to_get if each in taken)]
            yield tried("commitment", lambda: _committed(archive, sent))
    found = f"patient ID {images.patient_id}, study {images.study_uid}: may be deleted there"
    yield Check("trial study", Health.GOOD, found)


def tried(name: str, look: Callable[[], Check]) -> Check:
    """Return the check, or what the archive said instead."""
    try:
        return look()
    except (OrchestratorError, OSError) as fault:
        return Check(name, Health.BAD, str(fault))


def paced(name: str, count: int, what: str, seconds: float) -> Check:
    """Return how long each object took, and what to do where that looks like a stall and not like work."""
    found = f"{count} {what}, {seconds * 1000:.1f} ms each"
    if count in SAMPLE_IMAGES and STALL_SECONDS[0] <= seconds <= STALL_SECONDS[1]:
        return Check(name, Health.WARNING, f"{found}: this looks like Nagle's algorithm", STALL_ADVICE)
    return Check(name, Health.GOOD, found)


def _choice(objects: Sequence[TrialObjects], taken: Sequence[TrialObjects], options: WriteOptions) -> Check:
    """Return which kinds it takes, and what to write in the settings where it refuses one that it is set to get."""
    refused = [each.what for each in objects if each not in taken]
    found = f"it takes {_listed([each.what for each in taken])}" + (f"; it refuses {_listed(refused)}" * bool(refused))
    classes = [each.sop_class for each in taken]
    lacking = options.sop_classes.difference(classes)
    if not lacking:
        return Check("objects", Health.GOOD, found)
    health = Health.WARNING if lacking == {ParametricMapStorage} else Health.BAD
    return Check("objects", health, found, _advice(options, classes))


def _advice(options: WriteOptions, taken: Collection[str]) -> str:
    settings = fit_settings(options, taken)
    if not settings:
        return "let it take a report (Comprehensive SR) or a Secondary Capture; without either it can get no result"
    return "write " + ", ".join(f"{key} = {value}" for key, value in settings.items())


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none of the kinds of objects"


def _stored(archive: Archive, objects: TrialObjects, asks: bool) -> tuple[Check, bool]:
    """Return the check of sending these, and whether they were taken; what is away has refused nothing."""
    name = f"store {objects.what}"
    try:
        seconds = _store(archive, objects)
    except ArchiveRefused as fault:
        health = Health.WARNING if objects.sop_class == ParametricMapStorage else Health.BAD
        return Check(name, health, str(fault), LET_IT_TAKE_IMAGES if objects.what == IMAGES else ""), False
    except (OrchestratorError, OSError) as fault:
        return Check(name, Health.BAD, str(fault)), True
    return tried(name, lambda: _shown(archive, objects, seconds)) if asks else _unasked(objects, seconds), True


def _store(archive: Archive, objects: TrialObjects) -> float:
    """Return the seconds that each object took."""
    start = time.perf_counter()
    archive.store(objects.paths)
    return (time.perf_counter() - start) / len(objects.paths)


def _unasked(objects: TrialObjects, seconds: float) -> Check:
    return paced(f"store {objects.what}", len(objects.paths), "object(s), not read back", seconds)


def _shown(archive: Archive, objects: TrialObjects, seconds: float) -> Check:
    name, count = f"store {objects.what}", len(objects.paths)
    lost = archive.missing(objects.references)
    if lost:
        found = f"taken, but {len(lost)} of {count} are not shown when asked for"
        return Check(name, Health.BAD, found, FILED_LATER)
    return paced(name, count, "object(s), read back", seconds)


def _committed(archive: Committing, study: Sequence[TrialObjects]) -> Check:
    references = [reference for objects in study for reference in objects.references]
    refused = archive.uncommitted(references)
    if refused:
        return Check("commitment", Health.BAD, f"it does not commit to {len(refused)} of {len(references)} objects")
    return Check("commitment", Health.GOOD, f"it commits to {len(references)} objects")
