"""What goes in comes out, and what a hostile process writes is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from orchestrator.domain.concepts import LEFT, codes
from orchestrator.domain.errors import InvalidResult
from orchestrator.domain.result import (
    Finding,
    HeatMap,
    ImageScore,
    Measurement,
    Presence,
    Region,
    Result,
    Segment,
    Urgency,
)
from orchestrator.domain.volume import Volume
from orchestrator.worker.protocol.exchange import read_volume, volume_document, write_result
from orchestrator.worker.protocol.result import read_result

SHAPE = (3, 4, 5)
NUMBERS = st.floats(-1e6, 1e6, width=32)
FILES = ("result.json", "masks.raw", "maps.raw")


def through(folder: Path, result: Any, shape: tuple[int, int, int] = SHAPE) -> Result:
    """Return the result as the host reads what a process wrote."""
    document, masks, maps = (folder / name for name in FILES)
    with document.open("wb") as told, masks.open("wb") as marked, maps.open("wb") as select_maps:
        write_result(result, shape, told, marked, select_maps)
    return read_result(document, masks, maps, shape)


def box(*where: slice) -> npt.NDArray[np.bool_]:
    mask = np.zeros(SHAPE, bool)
    mask[where] = True
    return mask


FULL = Result(
    segments=[
        Segment("Left kidney", box(slice(1, 2)), codes["kidney"], laterality=LEFT, colour=(1, 2, 3)),
        Segment("Empty", box(slice(0, 0)).astype(np.uint8), codes["mass"], anatomy=codes["kidney"]),
    ],
    findings=[
        Finding(
            codes["fracture"],
            Presence.UNDETERMINED,
            score=0.25,
            certainty_percent=30.0,
            site=codes["rib"],
            urgency=Urgency.URGENT,
            regions=[Region.box(1, 0, 0, 2, 3, score=0.5, label="here"), Region.point(2, 1.5, 2.5)],
            segment="Left kidney",
        ),
        Finding(codes["mass"], images=[ImageScore(0, 0.5), ImageScore(2, np.float32(0.75))]),  # type: ignore[arg-type]
    ],
    measurements=[Measurement(codes["mean"], np.float32(1.5), "[hnsf'U]", "Left kidney", "threshold")],  # type: ignore[arg-type]
    notes={"Model grid": "1 x 2 x 3"},
    maps=[
        HeatMap("Likelihood", box(slice(1, 2)) * 0.5, "1", codes["nodule"], (0, np.float32(1.0))),  # type: ignore[arg-type]
        HeatMap("Zero", np.zeros(SHAPE, np.int16), "mm2/s"),
    ],
)


def test_a_result_comes_out_as_it_went_in(tmp_path: Path) -> None:
    read = through(tmp_path, FULL)
    assert [(s.label, s.type, s.anatomy, s.laterality, s.colour) for s in read.segments] == [
        (s.label, s.type, s.anatomy, s.laterality, s.colour) for s in FULL.segments
    ]
    assert (read.findings[0].score, read.findings[0].urgency) == (0.25, Urgency.URGENT)
    assert read.findings[0].regions[0].points.tolist() == [[0, 0], [0, 3], [2, 3], [2, 0]]
    assert read.findings[1].images == (ImageScore(0, 0.5), ImageScore(2, 0.75))
    assert read.measurements == (Measurement(codes["mean"], 1.5, "[hnsf'U]", "Left kidney", "threshold"),)
    assert read.notes == FULL.notes
    assert [(heat.name, heat.unit, heat.quantity, heat.range) for heat in read.maps] == [
        ("Likelihood", "1", codes["nodule"], (0.0, 1.0)),
        ("Zero", "mm2/s", None, None),
    ]


@given(masks=st.lists(arrays.arrays(bool, SHAPE), max_size=4))
def test_masks_come_out_as_they_went_in(tmp_path_factory: pytest.TempPathFactory, masks: list[Any]) -> None:
    segments = [Segment(f"s{number}", mask, codes["mass"]) for number, mask in enumerate(masks)]
    read = through(tmp_path_factory.mktemp("masks"), Result(segments))
    assert all((segment.mask == mask).all() for segment, mask in zip(read.segments, masks, strict=True))


@given(values=st.lists(arrays.arrays(np.float32, SHAPE, elements=NUMBERS), max_size=3))
def test_maps_come_out_as_they_went_in(tmp_path_factory: pytest.TempPathFactory, values: list[Any]) -> None:
    maps = [HeatMap(f"m{number}", array) for number, array in enumerate(values)]
    read = through(tmp_path_factory.mktemp("maps"), Result(maps=maps))
    assert all(np.array_equal(heat.values, array) for heat, array in zip(read.maps, values, strict=True))


@pytest.mark.parametrize("dtype", ["float16", "float64", "int32"])
def test_a_map_of_any_number_comes_out_as_float32(tmp_path: Path, dtype: str) -> None:
    values = np.arange(60).reshape(SHAPE).astype(dtype).transpose(0, 1, 2)[:, ::-1]
    read = through(tmp_path, Result(maps=[HeatMap("m", values)])).maps[0].values
    assert isinstance(read, np.memmap)
    assert read.dtype == np.float32
    assert np.array_equal(read, values)


@pytest.mark.parametrize("values", [np.full(SHAPE, 1e300), np.full(SHAPE, np.nan), np.ones(SHAPE, bool), np.ones(3)])
def test_a_map_of_something_else_than_finite_numbers_is_refused(tmp_path: Path, values: Any) -> None:
    with pytest.raises(InvalidResult, match="'m'"):
        through(tmp_path, Result(maps=[HeatMap("m", values)]))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_a_mask_of_any_memory_layout_is_written(tmp_path: Path, order: tuple[int, ...]) -> None:
    mask = np.zeros([SHAPE[axis] for axis in order], bool).transpose(np.argsort(order))
    mask[2, 3, ::2] = True
    read = through(tmp_path, Result([Segment("s", mask[:, :, ::-1], codes["mass"])]))
    assert (read.segments[0].mask == mask[:, :, ::-1]).all()


def test_masks_are_mapped_and_cannot_be_written(tmp_path: Path) -> None:
    mask = through(tmp_path, FULL).segments[0].mask
    assert isinstance(mask, np.memmap)
    assert not mask.flags.writeable


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("segments", 0, "label"), ["x"]),
        (("segments", 0, "type"), None),
        (("segments", 0, "type", "value"), ""),
        (("segments", 0, "colour"), [1, 2, 999]),
        (("segments", 0, "extra"), 1),
        (("segments",), []),
        (("findings", 0, "presence"), "maybe"),
        (("findings", 0, "score"), float("nan")),
        (("findings", 0, "regions", 0, "points"), [[1, 2, 3]]),
        (("findings", 0, "regions", 0, "slice"), 99),
        (("measurements", 0, "value"), float("inf")),
        (("measurements", 0, "segment"), "unknown"),
        (("notes",), {"key": 1}),
        (("maps",), []),
        (("maps", 0, "range"), [1, 0]),
        (("maps", 0, "unit"), "HU"),
    ],
)
def test_a_document_that_a_process_made_up_is_refused(tmp_path: Path, path: tuple[Any, ...], value: Any) -> None:
    through(tmp_path, FULL)
    document = tmp_path / "result.json"
    told = json.loads(document.read_text())
    place = told
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    document.write_text(json.dumps(told))
    with pytest.raises(InvalidResult):
        read_result(*(tmp_path / name for name in FILES), SHAPE)


@pytest.mark.parametrize("content", [b"", b"[" * 100_000, b"null", b"\xff"])
def test_a_document_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    through(tmp_path, FULL)
    (tmp_path / "result.json").write_bytes(content)
    with pytest.raises(InvalidResult):
        read_result(*(tmp_path / name for name in FILES), SHAPE)


@pytest.mark.parametrize("masks", [b"", b"\x00" * 59, b"\x02" * 120])
def test_masks_that_a_process_made_up_are_refused(tmp_path: Path, masks: bytes) -> None:
    through(tmp_path, FULL)
    (tmp_path / "masks.raw").write_bytes(masks)
    with pytest.raises(InvalidResult):
        read_result(*(tmp_path / name for name in FILES), SHAPE)


def test_maps_that_a_process_made_up_are_refused(tmp_path: Path) -> None:
    through(tmp_path, FULL)
    (tmp_path / "maps.raw").write_bytes(np.full((2, *SHAPE), np.nan, np.float32).tobytes())
    with pytest.raises(InvalidResult, match="not a finite number"):
        read_result(*(tmp_path / name for name in FILES), SHAPE)


@pytest.mark.parametrize("dtype", ["int16", "uint16", "uint8", "float32", "int32"])
@pytest.mark.parametrize("shape", [SHAPE, (2, 3, 4, 3)])
def test_a_volume_comes_out_as_it_went_in(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    voxels = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    given_volume = Volume(voxels, np.diag([3.0, 0.1, 0.7, 1]), "1", "MR", np.ones((shape[0], 3)), {"Age": "050Y"})
    (tmp_path / "v").write_bytes(voxels.tobytes())
    (tmp_path / "d").write_text(json.dumps(volume_document(given_volume)))
    with (tmp_path / "v").open("rb") as raw, (tmp_path / "d").open("rb") as document:
        read = read_volume(raw, document)
    assert (read.voxels == voxels).all()
    assert read.voxels.dtype == dtype
    assert (read.affine == given_volume.affine).all()  # type: ignore[union-attr]
    assert (read.unit, read.modality, dict(read.facts)) == ("1", "MR", {"Age": "050Y"})
    assert not read.voxels.flags.writeable
