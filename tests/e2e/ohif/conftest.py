"""Results of ours in a real archive, looked at in OHIF: one Orthanc, one server and one browser for all of it."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

from orchestrator.app.service.ohif import open_ohif
from orchestrator.app.service.web import ResultPictures
from orchestrator.config import load_settings
from orchestrator.dicom import Grid, WriteOptions, gather, read_instance
from orchestrator.dicom.objects.write_options import USUAL_OBJECTS
from orchestrator.domain.concepts import codes
from orchestrator.domain.job import JobState
from orchestrator.domain.records import JobRecord, ObjectKind, SeriesRecord, SeriesState
from orchestrator.domain.result import Result, Segment
from orchestrator.domain.series import series_digest
from orchestrator.ledger import Ledger
from orchestrator.testing import Patient
from orchestrator.web import Ohif, Server, create_app
from tests.data.series import ct_series, enhanced_ct
from tests.e2e.conftest import PATIENCE_MS
from tests.parts.archive.dcmtk import free_port
from tests.parts.archive.orthanc import orthanc
from tests.parts.dicom.written import Written, box, everything, image_by_image, job, nothing, write_result
from tests.parts.ohif import ohif

PICTURES = Path(__file__).parents[3] / "docs" / "pictures"
SEEN = PICTURES.parents[1] / "test-output"
DOCUMENTED = {"ohif-seg-three-segments-oblique.png", "ohif-sr-one-segment.png", "ohif-sr-nothing-found.png"}
LAPTOP = {"width": 1366, "height": 768}

ORANGE, GREEN, MAGENTA = (255, 120, 0), (0, 190, 60), (230, 0, 200)
"""Colours that neither the images nor OHIF's own signs have."""


def one_segment(grid: Grid) -> Result:
    return Result([Segment("Lesion", box(grid, 0.3), codes["lesion"], colour=ORANGE)])


def three_segments(grid: Grid) -> Result:
    """Return three boxes side by side, on the same slices."""
    places = (("Liver", -0.2, ORANGE), ("Spleen", 0.0, GREEN), ("Lesion", 0.2, MAGENTA))
    return Result(
        [
            Segment(name, box(grid, 0.16, (0.0, 0.0, shift)), codes[name.lower()], colour=colour)
            for name, shift, colour in places
        ]
    )


def _ct(folder: Path, name: str, **phantom: object) -> list[Path]:
    patient = Patient(patient_id=f"OHIF-{name}")
    shape = {"slices": 12, "rows": 128, "columns": 128, "spacing": (3.0, 0.8, 0.8)}
    return ct_series(folder, seed=name, patient=patient, **(shape | phantom))


def _enhanced(folder: Path, name: str) -> list[Path]:
    patient = Patient(patient_id=f"OHIF-{name}")
    return [enhanced_ct(folder, seed=name, patient=patient, slices=12, rows=128, columns=128)]


CASES: Mapping[str, tuple[Callable[[Path, str], Sequence[Path]], Callable[[Grid], Result]]] = {
    "one segment": (_ct, one_segment),
    "three segments, oblique": (lambda folder, name: _ct(folder, name, orientation="oblique"), three_segments),
    "three segments, multi-frame": (_enhanced, three_segments),
    "with and without a place": (_ct, everything),
    "image by image": (_ct, image_by_image),
    "nothing found": (_ct, nothing),
}


@dataclass(frozen=True)
class Case:
    """A study in the archive, what was written of it and the job in the ledger."""

    written: Written
    job: JobRecord

    def object_of(self, kind: ObjectKind):
        return next(each for each in self.written.objects if each.kind is kind)


@dataclass(frozen=True)
class Hospital:
    """The pages with OHIF beside them, over an archive that holds every case."""

    url: str
    cases: Mapping[str, Case]
    viewer: Ohif


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder, viewer = tmp_path_factory.mktemp("ohif"), ohif()
    with ExitStack() as stack:
        archive = stack.enter_context(orthanc(folder / "orthanc"))
        ledger = stack.enter_context(closing(Ledger.open(f"sqlite:///{folder / 'ledger.db'}")))
        cases = {name: _case(name, folder / name, ledger) for name in CASES}
        for case in cases.values():
            archive.put([*case.written.sources, *case.written.paths])
        settings = folder / "orchestrator.toml"
        settings.write_text(
            f'[web]\nviewer = "{viewer}"\n[[archive]]\nname = "pacs"\nurl = "{archive.url}"\n', encoding="utf-8"
        )
        shown = stack.enter_context(open_ohif(load_settings(settings, {})))
        assert shown is not None
        app = create_app(ledger, pictures=ResultPictures(ledger), models={}, ohif_viewer=shown)
        yield Hospital(stack.enter_context(_served(app)), cases, shown)


def _case(name: str, folder: Path, ledger: Ledger) -> Case:
    images, result_of = CASES[name]
    sources = images(folder / "in", name)
    (folder / "out").mkdir()
    instances = [read_instance(path) for path in sources]
    series, now = gather(instances), datetime.now(UTC)
    made = job(key=series_digest(instances), series_uid=series.series_uid, study_uid=series.study_uid, created_at=now)
    written = write_result(
        sources,
        result_of,
        folder / "out",
        options=WriteOptions(objects=USUAL_OBJECTS | {ObjectKind.SC}),
        key=made.key,
        series_uid=made.series_uid,
        study_uid=made.study_uid,
    )
    arrived = SeriesRecord(
        series_uid=series.series_uid,
        revision=1,
        study_uid=series.study_uid,
        state=SeriesState.RELEASED,
        instance_count=len(instances),
        digest=made.key,
        modality="CT",
        complete_by="count",
        first_seen=now,
    )
    ledger.series.put(arrived, instances)
    ledger.jobs.add(made)
    ledger.objects.put(made.key, written.objects)
    for state in (JobState.RUNNING, JobState.DELIVERING):
        ledger.jobs.move(made.key, state)
    ledger.reviews.open(made.key, now)
    return Case(written, made)


@contextmanager
def _served(app: FastAPI) -> Iterator[str]:
    """Give the address at which the pages are served in a thread."""
    server = Server(app, port=free_port())
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield f"http://localhost:{server.config.port}"
    server.should_exit = True
    thread.join(20)


@pytest.fixture(scope="module")
def reading_room(chromium: Browser, hospital: Hospital) -> Iterator[BrowserContext]:
    """One browser's memory for all tests: the viewer's scripts are fetched and compiled once."""
    context = chromium.new_context(base_url=hospital.url, viewport=LAPTOP)
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """What the browser refused for the viewer's policy, or could not load: there must be nothing."""
    heard: list[str] = []
    yield heard
    assert not heard


@pytest.fixture
def page(reading_room: BrowserContext, hospital: Hospital, complaints: list[str]) -> Iterator[Page]:
    opened = reading_room.new_page()
    opened.on("console", lambda message: _listen(message, complaints))
    opened.on("request", lambda request: _listen_to_address(request.url, hospital.url, complaints))
    yield opened
    opened.close()


@pytest.fixture
def photograph() -> Callable[[Page, str], Path]:
    """Keeps a picture of a page as an artefact, and for the documentation where DOCS_PICTURES=1 asks for it."""

    def take(page: Page, name: str) -> Path:
        path = SEEN / f"ohif-{name.replace(', ', '-').replace(' ', '-')}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=path)
        if path.name in DOCUMENTED and os.environ.get("DOCS_PICTURES") == "1":
            shutil.copy(path, PICTURES)
        return path

    return take


def _listen(message: ConsoleMessage, complaints: list[str]) -> None:
    if "Content Security Policy" in message.text:
        complaints.append(message.text)


def _listen_to_address(address: str, ours: str, complaints: list[str]) -> None:
    if not address.startswith((f"{ours}/", "blob:", "data:")):
        complaints.append(f"asked for {address}")
