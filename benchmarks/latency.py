"""R7 and R14: how long a series waits for the host, in a real ``orchestrator serve`` that DCMTK pushes to.

From the last byte of the last instance to the job that runs, and to the results that may leave: with an
explicit signal (Images in Acquisition is met), and with the hint of a released association that brought
gap-free images. Then to the SEG and SR confirmed by the archive (dcmqrscp), less the model's own time (bone-volume, the
cheapest there is), as a share of a model that runs 10 s.
All times are those of the ledger's events and of the files in the spool; the machine is one, so is the clock.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydicom import dcmread

from benchmarks.dcmtk import archive, send
from benchmarks.row import Row, row, show
from benchmarks.series import write_ct
from benchmarks.service import Service, serving, wait_for
from orchestrator.domain.job import ENDED
from orchestrator.domain.records import JobRecord

SLICES = 300
GOAL_SECONDS = 0.1
MODEL_SECONDS = 10.0
QUIET_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds from the last byte of a series."""

    started: float
    released: float
    confirmed: float
    model: float


def rows(rounds: int = 3) -> Iterator[Row]:
    """Yield R7 for both signals, and R14."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            archive(folder / "archive") as pacs,
            serving(folder / "service", f"dimse://ARCHIVE@127.0.0.1:{pacs}", quiet_seconds=QUIET_SECONDS) as service,
        ):
            turns = range(rounds + 1)  # the first one starts the model's process
            explicit = [_push(service, pacs, write_ct(folder / f"a{turn}", SLICES, announced=SLICES)) for turn in turns]
            hinted = [_push(service, pacs, write_ct(folder / f"b{turn}", SLICES)) for turn in turns]
    yield _within("last instance to job started, all announced", [waits.started for waits in explicit[1:]])
    yield _within("last instance to released, all announced", [waits.released for waits in explicit[1:]])
    yield _within("last instance to job started, gap-free and released", [waits.started for waits in hinted[1:]])
    late = [waits.released - QUIET_SECONDS for waits in hinted[1:]]
    yield _within("end of the quiet period to released, no signal", late)
    added = [(MODEL_SECONDS, waits.confirmed - waits.model) for waits in explicit[1:]]
    yield row("R14", "last instance to confirmed SEG and SR, less the model", "a model of 10 s", added, target=0.35)


def _within(goal: str, seconds: list[float]) -> Row:
    return row("R7", goal, "100 ms", [(GOAL_SECONDS, waited) for waited in seconds], target=1.0)


def _push(service: Service, pacs: int, files: list[Path]) -> Waits:
    """Send the series to the archive, then to the service, and return how long what took."""
    series_uid = str(dcmread(files[0], specific_tags=["SeriesInstanceUID"]).SeriesInstanceUID)
    send(files, pacs, "ARCHIVE")
    time.sleep(1.0)  # both at rest
    send(files, service.port, "ORCHESTRATOR")
    job = wait_for(lambda: _ended(service, series_uid), "the job ends")
    last = service.received(series_uid)
    for path in files:
        path.unlink()

    def since(at: datetime | None) -> float:
        if at is None:
            raise SystemExit(f"the job ended as {job.state}: {job.reason}")
        return at.timestamp() - last

    return Waits(
        started=since(service.event("job.running", job.key)),
        released=since(service.event("series.released", series_uid)),
        confirmed=since(service.event("job.done", job.key)),
        model=job.seconds["infer"],
    )


def _ended(service: Service, series_uid: str) -> JobRecord | None:
    return next((job for job in service.ledger.jobs.search(series_uid=series_uid) if job.state in ENDED), None)


if __name__ == "__main__":
    show(rows, __doc__, rounds=3)
