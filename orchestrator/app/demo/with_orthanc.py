"""``orchestrator demo --archive orthanc``: the service watches an Orthanc and stores its results there."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from orchestrator.app.batch import run
from orchestrator.app.batch.outcome import outcomes
from orchestrator.app.demo.demo import Demo, Say, prepare, write_page
from orchestrator.app.demo.orthanc_server import OrthancServer, run_orthanc
from orchestrator.archive import connect
from orchestrator.config import ArchiveSettings, DestinationSettings, Settings
from orchestrator.domain.errors import UserError
from orchestrator.domain.records import ObjectRecord, SeriesState
from orchestrator.ledger import Ledger

QUIET_SECONDS = 3.0
PATIENCE_SECONDS = 600.0
POLL_SECONDS = 0.2


@contextmanager
def run_with_orthanc(
    output: Path, settings: Settings, say: Say, progress: Callable[[run.Progress], None]
) -> Iterator[tuple[Demo, OrthancServer]]:
    """Run the demo; give it and Orthanc while Orthanc and the service still run. Both end at the end.

    Raises UserError if Orthanc is not installed or the service ends; PackageError if a download fails.
    """
    prepare(output, settings, say)
    with run_orthanc(output / "orthanc") as orthanc:
        say(f"Orthanc answers at {orthanc.http}")
        effective = _settings(output, settings, orthanc)
        with _run_service(effective, output) as service:
            folder = run.read_folder(output / "archive")
            with closing(Ledger.open(effective.data.database)) as ledger:
                _wait(service, lambda: bool(ledger.watches.get(orthanc.name).cursor))
                say(f"the service watches Orthanc; sending {len(folder.series)} series to Orthanc")
                start = time.perf_counter()
                archive = connect(orthanc.url, name=orthanc.name)
                archive.store([item.path for each in folder.series.values() for item in each])
                _wait(service, lambda: _are_done(ledger, list(folder.series), progress))
                results = tuple(item for uid in folder.series for item in outcomes(ledger, uid))
                report = run.RunReport(results, tuple(folder.unread), time.perf_counter() - start)
                page = write_page(ledger, report, output, lambda item: _outbox_path(item, output))
            yield Demo(report, page, effective), orthanc


def _settings(output: Path, base: Settings, orthanc: OrthancServer) -> Settings:
    """Return the settings of the service: Orthanc is its archive, watched, and its destination."""
    data = (output / "service").resolve()
    return base.model_copy(
        update={
            "receiver": base.receiver.model_copy(update={"enabled": False, "quiet_seconds": QUIET_SECONDS}),
            "data": base.data.model_copy(update={"folder": data, "database": f"sqlite:///{data / 'ledger.db'}"}),
            "archives": (ArchiveSettings(name=orthanc.name, url=orthanc.url, watch=True),),
            "destinations": (DestinationSettings(name=orthanc.name, url=orthanc.url),),
        }
    )


@contextmanager
def _run_service(settings: Settings, output: Path) -> Iterator[subprocess.Popen[bytes]]:
    file = output / "orchestrator.toml"
    file.write_text(settings.shown(), encoding="utf-8")
    command = [sys.executable, "-m", "orchestrator", "serve", "--settings", str(file)]
    with (output / "service.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _wait(service: subprocess.Popen[bytes], condition: Callable[[], bool]) -> None:
    """Wait for a condition.

    Raises UserError if the service ends or the time limit has passed.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if service.poll() is not None:
            raise UserError("the service of the demo has ended; see service.log in the output folder")
        if time.monotonic() > deadline:
            raise UserError(f"the demo took over {PATIENCE_SECONDS:.0f} s; see service.log in the output folder")
        time.sleep(POLL_SECONDS)


def _are_done(ledger: Ledger, series: list[str], progress: Callable[[run.Progress], None]) -> bool:
    """Return whether all series are released and all jobs have ended."""
    records = [ledger.series.find(uid) for uid in series]
    state = run.progress_of(ledger, series)
    progress(state)
    return all(record and record.state is SeriesState.RELEASED for record in records) and state.ended == state.jobs


def _outbox_path(item: ObjectRecord, output: Path) -> Path:
    """Return the path of an object in the outbox, relative to the page; Orthanc stores the same bytes."""
    return item.path.resolve().relative_to(output.resolve())
