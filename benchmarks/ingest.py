"""R1: what receiving costs against DCMTK's storescp, which makes nothing durable.

Yardstick and ours take the same 300 CT images of 512 x 512 in one association from storescu, A and B
in turn. Prints one line: the median of the ratios and both walls in seconds.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.parts.dcmtk import storescp, storescu

_RECEIVER = """
import sys
from pathlib import Path
from orchestrator.archive import Receiver, Spool
receiver = Receiver(Spool(Path(sys.argv[1])), port=0, on_stored=lambda _: None, on_closed=lambda _: None)
receiver.start()
print(receiver.port, flush=True)
sys.stdin.read()
receiver.stop()
"""


def write_series(folder: Path, count: int) -> list[Path]:
    """Return the files of one CT series of noise: 512 x 512, 16 bit, nothing compresses."""
    folder.mkdir(parents=True)
    noise = np.random.default_rng(0)
    study, series = generate_uid(), generate_uid()
    files = []
    for index in range(count):
        image = _ct_image(study, series, index)
        image.PixelData = noise.integers(-1000, 2000, (512, 512), dtype=np.int16).tobytes()
        files.append(folder / f"{index:04}.dcm")
        image.save_as(files[-1], enforce_file_format=True)
    return files


def _ct_image(study: str, series: str, index: int) -> Dataset:
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, generate_uid()
    image.StudyInstanceUID, image.SeriesInstanceUID = study, series
    image.PatientID, image.PatientName, image.Modality = "BENCH", "Bench^Mark", "CT"
    image.InstanceNumber, image.ImagePositionPatient = index + 1, [0, 0, index]
    image.Rows = image.Columns = 512
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit, image.PixelRepresentation, image.SamplesPerPixel = 15, 1, 1
    image.PhotometricInterpretation = "MONOCHROME2"
    return image


def theirs(files: list[Path], folder: Path) -> float:
    """Return the wall in seconds that storescp takes."""
    with storescp(folder, "--fork", "--max-pdu", "131072") as peer:
        return _send(files, peer.port, peer.ae_title)


def ours(files: list[Path], folder: Path) -> float:
    """Return the wall in seconds that our receiver takes, in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", _RECEIVER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        return _send(files, int(process.stdout.readline()), "ORCHESTRATOR")
    finally:
        process.communicate()


def _send(files: list[Path], port: int, called: str) -> float:
    start = time.perf_counter()
    answer = storescu(port, files, called=called)
    wall = time.perf_counter() - start
    if answer.returncode:
        raise SystemExit(f"storescu failed: {answer.stdout}{answer.stderr}")
    return wall


def main() -> None:
    """Print the row of the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--images", type=int, default=300)
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = write_series(folder / "source", chosen.images)
        rounds = [
            (theirs(files, folder / f"theirs{turn}"), ours(files, folder / f"ours{turn}"))
            for turn in range(chosen.rounds)
        ]
    ratio = statistics.median(b / a for a, b in rounds)
    yardstick, wall = (statistics.median(walls) for walls in zip(*rounds, strict=True))
    walls = f"storescp {yardstick:.3f} s, ours {wall:.3f} s"
    print(f"R1 ingest, {chosen.images} CT, one association: {ratio:.2f} ({walls}; target 7, then 1.5)")


if __name__ == "__main__":
    main()
