"""A pixel size of zero is an unknown pixel size: viewers draw images of that size black."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from orchestrator.dicom import WriteOptions
from orchestrator.domain import concepts
from orchestrator.domain.model import Geometry
from orchestrator.domain.records import ObjectKind
from tests.data.projection import cr_image
from tests.parts.dicom.written import one_segment, write_result

EVERY_KIND = WriteOptions(objects=frozenset(ObjectKind) - {ObjectKind.PM, ObjectKind.OTHER})
SIZES = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PresentationPixelSpacing")


@pytest.mark.parametrize("values", [[0.0, 0.0], [0.2, 0.0], [-0.2, 0.2]], ids=str)
def test_no_object_states_a_pixel_size_of_zero(tmp_path: Path, values: list[float]) -> None:
    source = cr_image(tmp_path / "in", **dict.fromkeys(SIZES[:3], values))
    done = write_result([source], one_segment, tmp_path / "out", geometry=Geometry.IMAGE, options=EVERY_KIND)
    stated: list[tuple[str, list[float]]] = []

    def note(_: Dataset, element) -> None:
        if element.keyword in SIZES:
            stated.append((element.keyword, list(element.value)))

    for record in done.objects:
        dcmread(record.path).walk(note)
    assert [each for each in stated if min(each[1]) <= 0] == []
    assert {record.kind for record in done.objects} == EVERY_KIND.objects
    assert not set(SIZES) & set(done.grids[0].facts)


def test_no_area_is_measured_in_pixels_of_unknown_size(tmp_path: Path) -> None:
    source = cr_image(tmp_path / "in", PixelSpacing=[0.0, 0.0], ImagerPixelSpacing=[0.0, 0.0])
    report = write_result([source], one_segment, tmp_path / "out", geometry=Geometry.IMAGE).read(ObjectKind.SR)
    assert concepts.AREA.value not in str(report)
