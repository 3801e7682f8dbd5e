"""Parametric Maps: a number for every voxel, in floating point, on the grid of its source (PS3.3 A.75, C.8.32).

Written with pydicom, as segmentations are: highdicom's takes no radiographs, whose images have no frame of
reference, nor stacks whose frames come from several multi-frame objects. Each map is a series of its own, since
the Series Description is the only text that every archive shows.
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
from orchestrator.dicom.objects.provenance import Clock, Uids, code_item
from orchestrator.dicom.result.source import Source
from orchestrator.dicom.seg.derived import derived_object
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
"""Body Part Examined (PS3.16 annex L) and what it is."""
_LONGEST_LABEL = 16  # VR SH
_ROOM_FOR_NAME = 30  # of the 64 characters of a Series Description


def planes_of_maps(source: Source) -> Planes | None:
    """Return where the frames of a map lie, None where the images do not say enough for one to be written.

    A Parametric Map must have a frame of reference, an orientation and pixels of a size (PS3.3 A.75.3).
    """
    return Planes.of(source) if source.frame_of_reference else Planes.own(source)


def parametric_maps(
    source: Source, maps: Sequence[HeatMap], *, model: ModelDescription, clock: Clock, uids: Uids
) -> Iterator[Dataset]:
    """Yield the Parametric Map of each map of one grid, complete but for being checked and stored.

    None where the images say neither where they lie nor how they are turned.
    """
    planes = planes_of_maps(source) if maps else None
    if planes is None:
        return
    for number, heat in enumerate(maps, 1):
        kind = "PM" if source.number == number == 1 else f"PM {source.number}.{number}"
        made = derived_object(source, ParametricMapStorage, kind, model=model, clock=clock)
        made.SeriesDescription = provenance.series_description(model, f"PM {heat.name[:_ROOM_FOR_NAME]}".strip())
        made.InstanceNumber = number  # in the order in which the model gives them
        _describe_map(made, source)
        _place(made, source, planes, kind, uids)
        _describe_values(made, heat)
        provenance.stamp(made, clock, uids, kind)
        yield made


def _describe_map(made: Dataset, source: Source) -> None:
    made.Modality = "OT"
    made.ContentLabel = "AI_HEAT_MAP"
    made.ImageType = ["DERIVED", "PRIMARY", "PARALLEL" if source.grid.affine is None else "VOLUME", "QUANTITY"]
    made.PixelPresentation, made.PresentationLUTShape = "MONOCHROME", "IDENTITY"
    made.BurnedInAnnotation = "NO"
    # a map on the grid of a head may show its face
    made.RecognizableVisualFeatures = str(source.header.get("RecognizableVisualFeatures") or "YES")
    made.AcquisitionContextSequence = []


def _place(made: Dataset, source: Source, planes: Planes, kind: str, uids: Uids) -> None:
    if not source.frame_of_reference:
        made.FrameOfReferenceUID, made.PositionReferenceIndicator = uids.of(kind, "frame of reference"), ""
    shown = [(None, index) for index in range(len(source.grid.frames))]
    organisation, derivation = uids.of(kind, "dimensions"), codes.DCM.ArtificialIntelligence
    describe_frames(made, source, shown, planes, organisation=organisation, derivation=derivation)
    if (anatomy := _anatomy(source)) is not None:
        made.SharedFunctionalGroupsSequence[0].FrameAnatomySequence = [anatomy]
        made.pop("Laterality", None)  # of the series only where no frame says it (PS3.3 C.7.3.1)


def _anatomy(source: Source) -> Dataset | None:
    """Return the Frame Anatomy macro (PS3.3 C.7.6.16.2.8), without which dcmqi and so 3D Slicer reads no map.

    B where images of either side are on one grid. None where a body part is not known here, or is one of a pair of
    which nothing says the side.
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


def _describe_values(made: Dataset, heat: HeatMap) -> None:
    """Add the values as Float Pixel Data, what they mean, and the window in which they are shown."""
    values = np.ascontiguousarray(heat.values, dtype="<f4")
    lowest, highest = float(values.min()), float(values.max())
    shown = heat.range or (lowest, highest)
    shared = made.SharedFunctionalGroupsSequence[0]
    shared.ParametricMapFrameTypeSequence = [Dataset()]
    shared.ParametricMapFrameTypeSequence[0].FrameType = made.ImageType
    shared.PixelValueTransformationSequence = [_identity()]
    shared.FrameVOILUTSequence = [_window(*shown)]
    shared.RealWorldValueMappingSequence = [
        RealWorldValueMapping(
            lut_label=heat.name[:_LONGEST_LABEL].strip(),
            lut_explanation=heat.name,
            unit=own.unit(heat.unit),
            value_range=(min(lowest, float(shown[0])), max(highest, float(shown[1]))),
            quantity_definition=None if heat.quantity is None else coded(heat.quantity),
        )
    ]
    made.BitsAllocated = 8 * values.itemsize
    made.add_new(0x7FE00008, "OF", values.tobytes())


def _identity() -> Dataset:
    item = Dataset()
    item.RescaleIntercept, item.RescaleSlope, item.RescaleType = 0, 1, "US"
    return item


def _window(lowest: float, highest: float) -> VOILUTTransformation:
    """Return the window between two values; LINEAR would take one from its width, which may be less than that."""
    return VOILUTTransformation(
        window_center=(lowest + highest) / 2,
        window_width=(highest - lowest) or 1.0,
        voi_lut_function=VOILUTFunctionValues.LINEAR_EXACT,
    )
