"""R13: what a SEG of ten segments costs, created and encoded, against packing the bits of its frames by hand.

Ten segments of 84 slices each in 300 x 512 x 512, 840 frames. Yardstick: ``np.packbits`` of every frame that
is not empty, joined and encoded as the Pixel Data of a bare DICOM file: no segments, no functional groups, no
patient. In turn.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SegmentationStorage

from benchmarks.row import Row, compared, row, show
from benchmarks.series import write_ct
from orchestrator.dicom import Grid, gather, plan, read_instance
from orchestrator.dicom.objects.masks import encode_frames, non_empty_segments
from orchestrator.dicom.objects.provenance import Clock, DerivedUids
from orchestrator.dicom.objects.storage import encode_file
from orchestrator.dicom.result.source_grid import SourceGrid
from orchestrator.dicom.seg.segmentation import segmentation
from orchestrator.domain.concepts import codes
from orchestrator.domain.model import Accepts, ModelDescription
from orchestrator.domain.result import Segment

SLICES = 300
_ORGANS = ("liver", "spleen", "pancreas", "stomach", "aorta", "heart", "brain", "skin", "colon", "trachea")
_MODEL = ModelDescription(name="benchmark", version="1", digest="0" * 64)


def rows(rounds: int = 5) -> Iterator[Row]:
    """Yield R13."""
    with tempfile.TemporaryDirectory() as name:
        grid = plan(gather([read_instance(path) for path in write_ct(Path(name) / "ct", SLICES)]), Accepts())[0]
        segments = organs(grid)
        walls = compared(lambda: by_hand(segments), lambda: ours(grid, segments), rounds=rounds)
    yield row("R13", f"SEG of {len(segments)} segments, create and encode", "packed bits", walls, target=2.0)


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
    return len(encode_file(bare))


def ours(grid: Grid, segments: Sequence[Segment]) -> int:
    """Return how many bytes the SEG takes."""
    present = non_empty_segments(segments)
    frames = encode_frames(present, labelmap=False)
    clock, uids = Clock(datetime(2025, 5, 2, tzinfo=UTC)), DerivedUids("job", "content")
    return len(
        encode_file(segmentation(SourceGrid.read(1, grid, None), present, frames, model=_MODEL, clock=clock, uids=uids))
    )


if __name__ == "__main__":
    show(rows, __doc__, rounds=5)
