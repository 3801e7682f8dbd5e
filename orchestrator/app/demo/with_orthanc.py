"""``orchestrator demo --archive orthanc``: the service watches a real archive and writes its results back there."""

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
from orchestrator.app.demo.orthanc_server import OrthancServer, running_orthanc
from orchestrator.archive import connect
from orchestrator.config import ArchiveSettings, DestinationSettings, Settings
from orchestrator.domain.errors import UserError
from orchestrator.domain.records import ObjectRecord, SeriesState
from orchestrator.ledger import Ledger

QUIET_SECONDS = 3.0
PATIENCE_SECONDS = 600.0
LOOK_SECONDS = 0.2


@contextmanager
def archive_demo(
    output: Path, settings: Settings, say: Say, progress: Callable[[run.Progress], None]
) -> Iterator[tuple[Demo, OrthancServer]]:
    """Give what came of it while Orthanc and the service still run; both end with it.

    Raises UserError where Orthanc is not installed or the service ends, and as ``demo`` does.
    """
    prepare(output, settings, say)
    with running_orthanc(output / "orthanc") as orthanc:
        say(f"Orthanc answers at {orthanc.http}")
        effective = _settings(output, settings, orthanc)
        with _service(effective, output) as service:
            folder = run.read_folder(output / "archive")
            with closing(Ledger.open(effective.data.database)) as ledger:
                _wait(service, lambda: bool(ledger.watches.get(orthanc.name).cursor))
                say(f"the service watches its changes; {len(folder.series)} series are sent to it")
                started = time.perf_counter()
                archive = connect(orthanc.url, name=orthanc.name)
                archive.store([item.path for each in folder.series.values() for item in each])
                _wait(service, lambda: _are_done(ledger, list(folder.series), progress))
                found = tuple(item for uid in folder.series for item in outcomes(ledger, uid))
                report = run.RunReport(found, tuple(folder.unread), time.perf_counter() - started)
                page = write_page(ledger, report, output, lambda item: _kept_at(item, output))
            yield Demo(report, page, effective), orthanc


def _settings(output: Path, base: Settings, orthanc: OrthancServer) -> Settings:
    """Return the settings of the demo's service: one archive, watched, that gets the results too."""
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
def _service(settings: Settings, output: Path) -> Iterator[subprocess.Popen[bytes]]:
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


def _wait(service: subprocess.Popen[bytes], until: Callable[[], bool]) -> None:
    """Return when it is so.

    Raises UserError where the service ends, or it takes too long.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not until():
        if service.poll() is not None or time.monotonic() > deadline:
            raise UserError("the service of the demo came to no end; service.log in the output folder tells why")
        time.sleep(LOOK_SECONDS)


def _are_done(ledger: Ledger, series: list[str], progress: Callable[[run.Progress], None]) -> bool:
    """Return whether each series is released and its jobs have ended."""
    records = [ledger.series.find(uid) for uid in series]
    seen = run.progress_of(ledger, series)
    progress(seen)
    return all(record and record.state is SeriesState.RELEASED for record in records) and seen.ended == seen.jobs


def _kept_at(item: ObjectRecord, output: Path) -> Path:
    """Return where the outbox keeps an object, seen from the page; Orthanc holds the same bytes."""
    return item.path.resolve().relative_to(output.resolve())
