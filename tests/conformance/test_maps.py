"""A map is read back by others as the numbers that the model gave, each at its own place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import highdicom
import numpy as np
import pytest
from pydicom import Dataset, dcmread

from orchestrator.domain.model import Geometry
from orchestrator.domain.records import ObjectKind
from orchestrator.domain.result import HeatMap
from tests.data.projection import us_cine
from tests.parts.dicom.kinds import MAPPED
from tests.parts.dicom.validators import read_map
from tests.parts.dicom.written import Written, everything_and_maps, write_result

Kinds = Callable[[str], Written]
REGULAR = [kind for kind in MAPPED if kind not in {"maps with missing slices", "maps of radiographs"}]
mapped_kinds = pytest.mark.parametrize("kind", MAPPED)


def _maps(done: Written) -> Iterator[tuple[HeatMap, Path]]:
    return zip(done.results[0].maps, done.paths_of(ObjectKind.PM), strict=True)


@mapped_kinds
def test_highdicom_reads_the_values_that_the_model_gave(written: Kinds, kind: str) -> None:
    for heat, path in _maps(written(kind)):
        read = highdicom.pm.ParametricMap.from_dataset(dcmread(path))
        values = read.get_frames(apply_real_world_transform=True, dtype=np.float64)
        np.testing.assert_array_equal(values, heat.values.astype(np.float32))


@mapped_kinds
def test_every_frame_refers_to_the_image_whose_values_it_holds(written: Kinds, kind: str) -> None:
    done = written(kind)
    images = [(frame.sop_uid, frame.frame or 1) for frame in done.grids[0].frames]
    for path in done.paths_of(ObjectKind.PM):
        assert list(map(_source, dcmread(path).PerFrameFunctionalGroupsSequence)) == images


@pytest.mark.parametrize("kind", REGULAR)
def test_dcmqi_reads_the_same_values_at_the_same_places(written: Kinds, kind: str) -> None:
    done = written(kind)
    affine = done.grids[0].affine
    assert affine is not None
    for heat, path in _maps(done):
        read = read_map(path)
        lps = np.argwhere(np.ones(heat.values.shape, bool)) @ affine[:3, :3].T + affine[:3, 3]
        index = np.rint((lps - read.affine[:3, 3]) @ np.linalg.inv(read.affine[:3, :3]).T).astype(int)
        np.testing.assert_array_equal(read.values[tuple(index.T)], heat.values.astype(np.float32).ravel())
        assert read.told["MeasurementUnitsCode"]["CodeValue"] == heat.unit
        assert heat.quantity is not None
        assert read.told["QuantityValueCode"]["CodeValue"] == heat.quantity.value


@mapped_kinds
def test_the_report_names_each_map_with_its_extremes_and_refers_to_it(written: Kinds, kind: str) -> None:
    done = written(kind)
    items = [item for item in done.read(ObjectKind.SR).ContentSequence if _is_map(item)]
    texts = [item.TextValue for item in items if item.ValueType == "TEXT"]
    assert [text.partition(":")[0] for text in texts] == ["Nodule likelihood", "Diffusion"]
    assert texts[1].endswith("mm²/s.")
    referred = [item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for item in items if item.ValueType == "IMAGE"]
    assert referred == [record.sop_uid for record in done.objects if record.kind is ObjectKind.PM]


def test_images_that_say_not_even_how_they_are_turned_get_no_map_and_the_report_says_so(tmp_path: Path) -> None:
    done = write_result([us_cine(tmp_path / "in")], everything_and_maps, tmp_path, geometry=Geometry.IMAGE)
    said = [item.TextValue for item in done.read(ObjectKind.SR).ContentSequence if _is_map(item)]
    assert not done.paths_of(ObjectKind.PM)
    assert len(said) == 2
    assert all("No map was written" in text for text in said)


def _source(groups: Dataset) -> tuple[str, int]:
    image = groups.DerivationImageSequence[0].SourceImageSequence[0]
    return image.ReferencedSOPInstanceUID, int(image.get("ReferencedFrameNumber", 1))


def _is_map(item: Dataset) -> bool:
    return bool(item.ConceptNameCodeSequence[0].get("CodeValue") == "map")
