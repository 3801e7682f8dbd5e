"""Builds Parametric Maps: one floating-point value per voxel, on the grid of the source (PS3.3 A.75, C.8.32).

They are built with pydicom, like segmentations: highdicom supports neither radiographs, which have no frame of
reference, nor stacks of frames from several multi-frame objects. Each map is an own series, because the
Series Description is the only text that every archive shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from highdicom import VOILUTTransformation
from highdicom.enum import VOILUTFunctionValues
from highdicom.pm import RealWorldValueMapping
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ParametricMapStorage

from orchestrator.dicom.objects import concepts as own
from orchestrator.dicom.objects import provenance
from orchestrator.dicom.objects.concepts import coded
from orchestrator.dicom.objects.provenance import Clock, DerivedUids, code_item
from orchestrator.dicom.result.source_grid import SourceGrid
from orchestrator.dicom.seg.derived_object import derived_object
from orchestrator.dicom.seg.functional_groups import describe_frames
from orchestrator.dicom.seg.planes import Planes
from orchestrator.domain.code import Code
from orchestrator.domain.concepts import codes as domain_codes
from orchestrator.domain.model import ModelDescription
from orchestrator.domain.result import HeatMap

_BODY = Code("123037004", "SCT", "Body structure")
_UNPAIRED: Mapping[str, Code] = {
    **dict.fromkeys(
        ("", "CSPINE", "TSPINE", "LSPINE", "SPINE", "CHESTABDOMEN", "ABDOMENPELVIS", "CHESTABDPELVIS"), _BODY
    ),
    **{part: domain_codes[part] for part in ("ABDOMEN", "BRAIN", "CHEST", "HEAD", "HEART", "LIVER", "NECK", "PELVIS")},
    **{part: domain_codes[part] for part in ("PROSTATE", "SKULL")},
    "WHOLEBODY": domain_codes["whole body"],
}
_PAIRED: Mapping[str, Code] = {part: domain_codes[part] for part in ("BREAST", "HIP", "KIDNEY", "KNEE")}
"""Body Part Examined (PS3.16 annex L) -> code of the body part."""
_LONGEST_LABEL = 16  # VR SH
_ROOM_FOR_NAME = 30  # out of 64 characters of Series Description


def planes_of_maps(source: SourceGrid) -> Planes | None:
    """Return the planes of a map, None where the images lack the attributes that a map needs.

    A Parametric Map requires frame of reference, orientation and pixel size (PS3.3 A.75.3).
    """
    return Planes.of(source) if source.frame_of_reference else Planes.own(source)


def parametric_maps(
    source: SourceGrid, maps: Sequence[HeatMap], *, model: ModelDescription, clock: Clock, uids: DerivedUids
) -> Iterator[Dataset]:
    """Yield the Parametric Map of each map of one grid, complete except for check and storage.

    Yields nothing where the images lack orientation or pixel size.
    """
    planes = planes_of_maps(source) if maps else None
    if planes is None:
        return
    for number, heat in enumerate(maps, 1):
        kind = "PM" if source.number == number == 1 else f"PM {source.number}.{number}"
        dataset = derived_object(source, ParametricMapStorage, kind, model=model, clock=clock)
        dataset.SeriesDescription = provenance.series_description(
            model, f"PM {heat.name[:_ROOM_FOR_NAME]}".strip(), source.views
        )
        dataset.InstanceNumber = number  # in the order of the model's result
        _describe_map(dataset, source)
        _add_frames(dataset, source, planes, kind, uids)
        _describe_values(dataset, heat)
        provenance.stamp(dataset, clock, uids, kind)
        yield dataset


def _describe_map(dataset: Dataset, source: SourceGrid) -> None:
    dataset.Modality = "OT"
    dataset.ContentLabel = "AI_HEAT_MAP"
    dataset.ImageType = ["DERIVED", "PRIMARY", "PARALLEL" if source.grid.affine is None else "VOLUME", "QUANTITY"]
    dataset.PixelPresentation, dataset.PresentationLUTShape = "MONOCHROME", "IDENTITY"
    dataset.BurnedInAnnotation = "NO"
    # a map of a head may show the face
    dataset.RecognizableVisualFeatures = str(source.header.get("RecognizableVisualFeatures") or "YES")
    dataset.AcquisitionContextSequence = []


def _add_frames(dataset: Dataset, source: SourceGrid, planes: Planes, kind: str, uids: DerivedUids) -> None:
    if not source.frame_of_reference:
        dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = uids.of(kind, "frame of reference"), ""
    contents = [(None, index) for index in range(len(source.grid.frames))]
    organisation, derivation = uids.of(kind, "dimensions"), codes.DCM.ArtificialIntelligence
    describe_frames(dataset, source, contents, planes, organisation=organisation, derivation=derivation)
    if (anatomy := _anatomy(source)) is not None:
        dataset.SharedFunctionalGroupsSequence[0].FrameAnatomySequence = [anatomy]
        dataset.pop("Laterality", None)  # of the series only without Frame Laterality (PS3.3 C.7.3.1)


def _anatomy(source: SourceGrid) -> Dataset | None:
    """Return the Frame Anatomy macro (PS3.3 C.7.6.16.2.8), which dcmqi and thus 3D Slicer require.

    Laterality B for a grid with images of both sides. None for an unknown body part, or for a paired one of unknown
    laterality.
    """
    part, side = (str(source.sides.get(keyword, "")) for keyword in ("BodyPartExamined", "Laterality"))
    if not source.sides and any(source.header.get(keyword) for keyword in ("ImageLaterality", "Laterality")):
        side = "B"
    region = _UNPAIRED.get(part) or (_PAIRED.get(part) if side else None)
    if region is None:
        return None
    item = Dataset()
    item.FrameLaterality, item.AnatomicRegionSequence = side or "U", [code_item(region)]
    return item


def _describe_values(dataset: Dataset, heat: HeatMap) -> None:
    """Add the values as Float Pixel Data, their real world value mapping and their display window."""
    values = np.ascontiguousarray(heat.values, dtype="<f4")
    lowest, highest = float(values.min()), float(values.max())
    window = heat.range or (lowest, highest)
    groups = dataset.SharedFunctionalGroupsSequence[0]
    groups.ParametricMapFrameTypeSequence = [Dataset()]
    groups.ParametricMapFrameTypeSequence[0].FrameType = dataset.ImageType
    groups.PixelValueTransformationSequence = [_identity()]
    groups.FrameVOILUTSequence = [_window(*window)]
    groups.RealWorldValueMappingSequence = [
        RealWorldValueMapping(
            lut_label=heat.name[:_LONGEST_LABEL].strip(),
            lut_explanation=heat.name,
            unit=own.unit(heat.unit),
            value_range=(min(lowest, float(window[0])), max(highest, float(window[1]))),
            quantity_definition=None if heat.quantity is None else coded(heat.quantity),
        )
    ]
    dataset.BitsAllocated = 8 * values.itemsize
    dataset.add_new(0x7FE00008, "OF", values.tobytes())


def _identity() -> Dataset:
    item = Dataset()
    item.RescaleIntercept, item.RescaleSlope, item.RescaleType = 0, 1, "US"
    return item


def _window(lowest: float, highest: float) -> VOILUTTransformation:
    """Return the window between two values; LINEAR_EXACT, since LINEAR needs a width of at least 1."""
    return VOILUTTransformation(
        window_center=(lowest + highest) / 2,
        window_width=(highest - lowest) or 1.0,
        voi_lut_function=VOILUTFunctionValues.LINEAR_EXACT,
    )
