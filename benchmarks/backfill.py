"""A day of backfill at full speed: 1,500 series of an archive that is a folder, worked off by the real service.

Small CT series (3 x 64 x 64) of ten days; the model is the shipped bone-volume. It prints, while it runs, how many
series are done and in flight, and the resident memory of watcher and engine: neither may grow with the number of
series. At the end every series must have its result, once.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from benchmarks.service import Service, serving
from orchestrator.domain.fetching import BackfillState, FetchState
from orchestrator.domain.job import JobState

DAYS = 10
SLICES = 3
SIZE = 64
REPORT_SECONDS = 10.0
MORE = """
ask = false
confirm = "none"

[[archive]]
name = "past"
url = "{past}"

[rules]
file = "rules.toml"
"""
RULES = """
[[rule]]
name = "bones"
model = "bone-volume"

[rule.when]
Modality = "CT"
"""


def main(series: int) -> None:
    """Write the series, order the backfill, and print how it gets on until it is done."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(series):
            write_series(folder / "past", number)
        (folder / "results").mkdir()
        (folder / "host").mkdir()
        (folder / "host/rules.toml").write_text(RULES)
        more = MORE.format(past=(folder / "past").as_uri())
        with serving(folder / "host", (folder / "results").as_uri(), quiet_seconds=1, more=more) as service:
            order(folder / "host/orchestrator.toml")
            lines = list(followed(service, folder / "host/orchestrator.toml"))
            report(service, series, lines)


def write_series(folder: Path, number: int) -> None:
    """Write one CT series of one of the days."""
    study, series, frame_of_reference = generate_uid(), generate_uid(), generate_uid()
    place = folder / f"{number:05}"
    place.mkdir(parents=True)
    pixels = np.full((SIZE, SIZE), 1064, np.uint16)
    pixels[16:32, 16:32] = 1724
    for index in range(SLICES):
        image = header(number, index)
        image.StudyInstanceUID, image.SeriesInstanceUID, image.FrameOfReferenceUID = study, series, frame_of_reference
        image.PixelData = pixels.tobytes()
        image["PixelData"].VR = "OW"
        image.save_as(place / f"{index}.dcm", enforce_file_format=True)


def header(number: int, index: int) -> Dataset:
    """Return the header of one slice."""
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, generate_uid()
    image.PatientID, image.PatientName, image.AccessionNumber = f"P{number}", f"Bench^{number}", f"A{number}"
    image.PatientBirthDate, image.PatientSex, image.StudyID = "19700101", "O", str(number)
    image.StudyDate, image.StudyTime, image.ReferringPhysicianName = f"202603{number % DAYS + 1:02}", "120000", ""
    image.Modality, image.Manufacturer, image.SeriesNumber, image.InstanceNumber = "CT", "bench", 1, index + 1
    image.Rows = image.Columns = SIZE
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 12, 11, 0
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.RescaleIntercept, image.RescaleSlope, image.RescaleType = -1024, 1, "HU"
    image.PixelSpacing, image.SliceThickness, image.ImageType = [1, 1], 1, ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.ImagePositionPatient, image.ImageOrientationPatient = [0, 0, index], [1, 0, 0, 0, 1, 0]
    image.KVP, image.AcquisitionNumber, image.PositionReferenceIndicator = 120, 1, ""
    return image


def order(settings: Path) -> None:
    """Order the backfill of all days by the command that a person uses."""
    words = ["backfill", "--rule", "bones", "--archive", "past", "--from", "2026-03-01", "--to", f"2026-03-{DAYS}"]
    command = [sys.executable, "-m", "orchestrator", *words, "--settings", str(settings)]
    subprocess.run(command, check=True, cwd=settings.parent)


def followed(service: Service, settings: Path) -> Iterator[tuple[float, int, int, int, int]]:
    """Yield now and then: seconds, series done and in flight, MB of watcher and engine; until the backfill is done."""
    started = time.monotonic()
    print("seconds   done   in flight   watcher MB   engine MB", flush=True)
    while service.ledger.backfills.get(1).state is BackfillState.RUNNING:
        time.sleep(REPORT_SECONDS)
        fetches = service.ledger.backfills.progress(1).fetches
        line = (
            time.monotonic() - started,
            fetches.get(FetchState.DONE, 0),
            fetches.get(FetchState.FETCHED, 0),
            *(resident_mb(settings, role) for role in ("watcher", "engine")),
        )
        print("{:7.0f} {:6} {:11} {:12} {:11}".format(*line), flush=True)
        yield line


def resident_mb(settings: Path, role: str) -> int:
    """Return the resident memory of one process of the service."""
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                command = (process / "cmdline").read_bytes().decode().split("\0")
                status = (process / "status").read_text()
            except OSError:
                continue
            if str(settings) in command and role in command:
                return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) >> 10  # type: ignore[index]
    return 0


def report(service: Service, series: int, lines: list[tuple[float, int, int, int, int]]) -> None:
    """Print what it comes to; SystemExit where a series has no result, or two."""
    seconds = lines[-1][0]
    settled = lines[len(lines) // 4]
    jobs = service.ledger.jobs.search(states=[JobState.DONE], limit=2 * series + 10)
    print(f"{series} series in {seconds:.0f} s: {series / seconds * 3600:,.0f} an hour")
    print(f"most in flight: {max(line[2] for line in lines)}")
    for name, column in (("watcher", 3), ("engine", 4)):
        print(f"{name}: {settled[column]} MB after a quarter of the time, {lines[-1][column]} MB at the end")
    if len(jobs) != series or len({job.series_uid for job in jobs}) != series:
        for job in service.ledger.jobs.search(states=[*set(JobState) - {JobState.DONE}], limit=20):
            print(job.key[:12], job.series_uid, job.state, job.reason)
        raise SystemExit(f"{series} series have {len(jobs)} results")
    print("every series has one result")


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--series", type=int, default=1500, help="how many (1500, a day's)")
    main(options.parse_args().series)
