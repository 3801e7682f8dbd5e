"""Results of imaginary models and the objects that the host writes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, dcmread

from orchestrator.dicom import Grid, WriteOptions, gather, plan, read_instance, write_objects
from orchestrator.domain.concepts import codes
from orchestrator.domain.job import Priority
from orchestrator.domain.model import Accepts, Empty, Geometry, ModelDescription
from orchestrator.domain.records import JobRecord, ObjectKind, ObjectRecord
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

AT = datetime(2025, 5, 2, 10, 0, 0, 123456, tzinfo=UTC)

MODEL = ModelDescription(
    name="lesion-finder",
    version="1.2",
    digest="0123456789abcdef" * 4,
    manufacturer="Models of Tomorrow",
    parameters={"threshold": "0.5"},
    empty=Empty.NEGATIVE,
)


def job(**values: Any) -> JobRecord:
    """Return a job; its key and times are the same each time unless told otherwise."""
    given = {
        "key": "ab" * 32,
        "series_uid": "1.2.3",
        "revision": 1,
        "study_uid": "1.2",
        "model": MODEL.name,
        "model_version": MODEL.version,
        "model_digest": MODEL.digest,
        "rule": "r",
        "priority": Priority.ROUTINE,
        "created_at": AT,
        "updated_at": AT,
    }
    return JobRecord(**(given | values))


def box(grid: Grid, size: float = 0.4, shift: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> np.ndarray[Any, Any]:
    """Return a mask: a box of that share of each axis round the centre, shifted by shares of the axes."""
    mask = np.zeros(grid.shape[:3], bool)
    places = []
    for length, away in zip(mask.shape, shift, strict=True):
        middle, half = (0.5 + away) * length, max(0.5, size * length / 2)
        places.append(slice(max(0, round(middle - half)), max(1, round(middle + half))))
    mask[tuple(places)] = True
    return mask


def everything(grid: Grid) -> Result:
    """Return a result with all that a model can say: overlapping segments, one empty, findings, regions, numbers."""
    last = grid.shape[0] - 1
    liver, lesion = box(grid), box(grid, 0.15, (0.05, 0.1, -0.1))
    return Result(
        segments=[
            Segment("Liver", liver, codes["liver"]),
            Segment("Lesion", lesion.astype(np.uint8), codes["lesion"], codes["abnormal structure"], codes["liver"]),
            Segment("Cyst", np.zeros_like(liver), codes["cyst"], codes["abnormal structure"]),
        ],
        findings=[
            Finding(codes["neoplasm"], score=0.7, segment="Lesion", urgency=Urgency.URGENT),
            Finding(
                codes["nodule"], score=0.9, regions=[Region.box(0, 2, 3, 8, 9, score=0.9), Region.point(last, 5, 6)]
            ),
            Finding(codes["fracture"], Presence.ABSENT, score=0.02, site=codes["rib"]),
        ],
        measurements=[
            Measurement(codes["mean"], 52.25, "[hnsf'U]", segment="Liver", method="arithmetic"),
            Measurement(codes["diameter"], 12.5, "mm"),
        ],
        notes={"grid": "as the images"},
    )


def one_segment(grid: Grid) -> Result:
    """Return a result of one segment."""
    return Result(segments=[Segment("Liver", box(grid), codes["liver"])])


def detections(grid: Grid) -> Result:
    """Return a result of places without a segment, more than are written."""
    places = [Region.box(0, 1, 1, 6, 7, score=round(0.99 - 0.01 * number, 2)) for number in range(60)]
    return Result(findings=[Finding(codes["burned in text"], score=0.99, regions=places)])


def placeless(_: Grid) -> Result:
    """Return a result that is about the images as a whole."""
    pneumonia = Finding(
        codes["pneumonia"], score=0.6, certainty_percent=72.5, site=codes["lung"], urgency=Urgency.IMMEDIATE
    )
    return Result(findings=[pneumonia], measurements=[Measurement(codes["intracranial volume"], 1400.5, "ml")])


def image_by_image(grid: Grid) -> Result:
    """Return a result that names whole images: the first and the last, the last one with the better score."""
    images = [ImageScore(0, 0.625), ImageScore(grid.shape[0] - 1, 0.875)][-grid.shape[0] :]
    return Result(
        findings=[
            Finding(codes["pneumothorax"], score=0.875, certainty_percent=87.5, site=codes["lung"], images=images),
            Finding(codes["fracture"], Presence.ABSENT, score=0.25),
        ]
    )


def images_beside_places(grid: Grid) -> Result:
    """Return a result of a segment and of whole images."""
    return Result(one_segment(grid).segments, image_by_image(grid).findings)


def left_breast(grid: Grid) -> Result:
    """Return a result of a mass in the left breast with its place, its segment and a map."""
    mass = Segment("Mass", box(grid, 0.2), codes["mass"], codes["abnormal structure"], codes["breast"], codes["left"])
    finding = Finding(codes["mass"], score=0.8, site=codes["breast"], laterality=codes["left"], segment="Mass")
    return Result([mass], [finding], maps=heat_maps(grid).maps)


def heat_maps(grid: Grid) -> Result:
    """Return a result of two maps: a likelihood with its range, and a quantity with a unit and some negative values."""
    slices, rows, columns = np.indices(grid.shape[:3], dtype=np.float32)
    likelihood = np.exp(-((rows - 20) ** 2 + (columns - 30) ** 2) / 200 - slices / 7)
    return Result(
        maps=[
            HeatMap("Nodule likelihood", likelihood, quantity=codes["class activation"], range=(0.0, 1.0)),
            HeatMap("Diffusion", slices - rows / 3 + columns, "mm2/s", codes["apparent diffusion coefficient"]),
        ]
    )


def everything_and_maps(grid: Grid) -> Result:
    """Return a result with all that a model can say, and maps."""
    return replace(everything(grid), maps=heat_maps(grid).maps)


def nothing(grid: Grid) -> Result:
    """Return a result whose only segment is empty."""
    return Result(segments=[Segment("Liver", np.zeros(grid.shape[:3], bool), codes["liver"])])


@dataclass(frozen=True)
class Written:
    """Objects with what they were written from."""

    sources: Sequence[Path]
    grids: Sequence[Grid]
    results: Sequence[Result]
    objects: Sequence[ObjectRecord]

    def path(self, kind: ObjectKind) -> Path:
        """Return the first object of a kind."""
        return self.paths_of(kind)[0]

    def paths_of(self, kind: ObjectKind) -> list[Path]:
        """Return all objects of a kind."""
        return [record.path for record in self.objects if record.kind is kind]

    def read(self, kind: ObjectKind) -> Dataset:
        """Return the first object of a kind, read back."""
        return dcmread(self.path(kind))

    @property
    def paths(self) -> list[Path]:
        """All objects."""
        return [record.path for record in self.objects]


def write_result(
    sources: Sequence[Path],
    result_of: Callable[[Grid], Result],
    folder: Path,
    *,
    geometry: Geometry = Geometry.VOLUME,
    model: ModelDescription = MODEL,
    options: WriteOptions | None = None,
    predecessor: ObjectRecord | None = None,
    **values: Any,
) -> Written:
    """Return what the host writes of a result on these images; further values are the job's."""
    accepts = Accepts(geometry=geometry, gantry_tilt=True)
    grids = plan(gather([read_instance(path) for path in sources]), accepts)
    results = [result_of(grid) for grid in grids]
    objects = write_objects(
        list(zip(grids, results, strict=True)),
        job=job(**values),
        model=model,
        folder=folder,
        options=options or WriteOptions(),
        predecessor=predecessor,
    )
    return Written(sources, grids, results, objects)
