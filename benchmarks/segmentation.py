"""R13: what a SEG of ten segments costs, created and encoded, against packing the bits of its frames by hand.

Ten segments of 84 slices each in 300 x 512 x 512, 840 frames. Yardstick: ``np.packbits`` of every frame that
is not empty, joined and encoded as the Pixel Data of a bare DICOM file: no segments, no functional groups, no
patient. A and B in turn. Prints one line: the median of the ratios and both walls in seconds.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SegmentationStorage

sys.path.insert(0, str(Path(__file__).parents[1]))

from orchestrator.dicom import Grid, gather, plan, read_instance
from orchestrator.dicom.masks import drawn, encode
from orchestrator.dicom.provenance import Clock, Uids
from orchestrator.dicom.seg import segmentation
from orchestrator.dicom.source import Source
from orchestrator.dicom.storage import encoded
from orchestrator.domain.concepts import codes
from orchestrator.domain.model import Accepts, ModelDescription
from orchestrator.domain.result import Segment
from orchestrator.testing import Phantom

_ORGANS = ("liver", "spleen", "pancreas", "stomach", "aorta", "heart", "brain", "skin", "colon", "trachea")
_MODEL = ModelDescription(name="benchmark", version="1", digest="0" * 64)


def read_grid(folder: Path, slices: int) -> Grid:
    """Return the grid of a CT series of 512 x 512."""
    paths = Phantom(slices=slices, rows=512, columns=512, spacing=(1.0, 0.7, 0.7)).write(folder)
    return plan(gather([read_instance(path) for path in paths]), Accepts())[0]


def organs(grid: Grid) -> list[Segment]:
    """Return ten boxes, each on 28 % of the slices, that overlap here and there."""
    slices, _, _ = grid.shape[:3]
    segments = []
    for number, name in enumerate(_ORGANS):
        mask = np.zeros(grid.shape, bool)
        first = number * slices // 14
        mask[first : first + slices * 28 // 100, 40 + number * 40 : 75 + number * 40, 40 + number * 20 : 300] = True
        segments.append(Segment(name, mask, codes[name]))
    return segments


def by_hand(segments: Sequence[Segment]) -> int:
    """Return how many bytes a file with the frames' bits and nothing else takes."""
    planes = (plane for segment in segments for plane in segment.mask if plane.any())
    bare = Dataset()
    bare.file_meta = FileMetaDataset()
    bare.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    bare.SOPClassUID, bare.SOPInstanceUID = SegmentationStorage, "2.25.1"
    bits = b"".join(np.packbits(plane, bitorder="little").tobytes() for plane in planes)
    bare.add_new("PixelData", "OB", bits)
    return len(encoded(bare))


def ours(grid: Grid, segments: Sequence[Segment]) -> int:
    """Return how many bytes the SEG takes."""
    present = drawn(segments)
    frames = encode(present, labelmap=False)
    clock, uids = Clock(datetime(2025, 5, 2, tzinfo=UTC)), Uids("job", "content")
    return len(encoded(segmentation(Source.read(1, grid, None), present, frames, model=_MODEL, clock=clock, uids=uids)))


def _seconds(work: Callable[[], int]) -> float:
    gc.collect()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Print the row of the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--slices", type=int, default=300)
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        grid = read_grid(Path(name), chosen.slices)
        segments = organs(grid)
        ours(grid, segments)  # the first one of a process loads tables
        rounds = [
            (_seconds(lambda: by_hand(segments)), _seconds(lambda: ours(grid, segments))) for _ in range(chosen.rounds)
        ]
    ratio = statistics.median(b / a for a, b in rounds)
    yardstick, wall = (statistics.median(walls) for walls in zip(*rounds, strict=True))
    walls = f"packed bits {yardstick:.3f} s, ours {wall:.3f} s"
    print(f"R13 SEG of {len(segments)} segments, create and encode: {ratio:.2f} ({walls}; target 2)")


if __name__ == "__main__":
    main()
