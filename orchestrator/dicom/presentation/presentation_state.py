"""Builds presentation states: outlines and labels of a result on its source images (GSPS, PS3.3 A.33.1).

They are for workstations that draw presentation states but no SEG. They are built with pydicom, because highdicom's
GrayscaleSoftcopyPresentationState shows MONOCHROME1 inverted, anisotropic pixels as squares and images without a
window black, and refuses images of several sizes, cine loops and frames with different transformations.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import count

import numpy as np
from highdicom.color import CIELabColor
from highdicom.pr import AnnotationUnitsValues, GraphicLayer, GraphicObject, GraphicTypeValues, TextObject
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, GrayscaleSoftcopyPresentationStateStorage

from orchestrator.dicom.objects import provenance
from orchestrator.dicom.objects.provenance import Clock, DerivedUids
from orchestrator.dicom.presentation.drawing import Drawing, Layer, drawings
from orchestrator.dicom.presentation.grey_scale import GreyScale
from orchestrator.dicom.result.grid_result import GridResult
from orchestrator.dicom.result.key_slices import key_slices
from orchestrator.dicom.result.source_grid import SourceGrid, common_sides, references
from orchestrator.dicom.view.picture import BANNER
from orchestrator.domain.model import ModelDescription

KIND = "PR"
MOST_STATES = 20
"""Largest number of objects per grid; images with individual rescale values (PET) need one each."""

_ASPECT = ("ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio")
_COMMON_KEYWORDS = (
    *("Rows", "Columns", "PhotometricInterpretation", "PixelSpacing", *_ASPECT),
    *("RescaleSlope", "RescaleIntercept", "RescaleType", "ModalityLUTSequence"),
)
_BANNER_BOX = (0.02, 0.01, 0.98, 0.06)
_log = logging.getLogger(__name__)

Look = tuple[str, ...]
"""The values that all images of one presentation state share, as text."""


def presentation_states(
    grid_results: Sequence[GridResult], *, model: ModelDescription, clock: Clock, uids: DerivedUids
) -> Iterator[Dataset]:
    """Yield the presentation states of a job, complete except for check and storage.

    There is one for all images of a grid with the same display attributes. Images in colour have none: this object
    type applies to grey-scale images only.
    Raises UnsupportedInput.
    """
    sides, numbers = common_sides([grid_result.source for grid_result in grid_results]), count(1)
    for grid_result in grid_results:
        grey = GreyScale(grid_result.source)
        for group in _groups(grid_result, drawings(grid_result, uids)):
            number = next(numbers)
            state = _state(grid_result.source, group, grey, model)
            state.update(sides)
            state.InstanceNumber = number
            state.ContributingEquipmentSequence = [provenance.contribution(model, clock)]
            provenance.stamp(state, clock, uids, KIND, str(number), str(state.get("SoftcopyVOILUTSequence")))
            state.PresentationCreationDate, state.PresentationCreationTime = clock.date, clock.time
            del state.ContentDate, state.ContentTime  # not part of this object type
            yield state


def _groups(grid_result: GridResult, group: Sequence[Drawing]) -> Sequence[Sequence[Drawing]]:
    """Return the drawings grouped by look; with too many looks, only the drawings on key slices."""
    layouts = {each.place: grid_result.frame(each.place).layout for each in group}
    grey = [each for each in group if (layout := layouts[each.place]) is None or not layout.colour]
    if len(grey) < len(group):
        _log.info(
            "series %s has images in colour; no presentation state is written for them", grid_result.source.series_uid
        )
    groups = _by_look(grid_result.source, grey)
    if len(groups) > MOST_STATES:
        slices = set(key_slices(grid_result))
        groups = _by_look(grid_result.source, [each for each in grey if each.place in slices])
    return list(groups.values())


def _by_look(source: SourceGrid, group: Sequence[Drawing]) -> Mapping[Look, list[Drawing]]:
    looks = {place: _look(source, place) for place in {each.place for each in group}}
    groups: dict[Look, list[Drawing]] = {}
    for each in sorted(group, key=lambda drawing: drawing.place):
        groups.setdefault(looks[each.place], []).append(each)
    return groups


def _look(source: SourceGrid, place: int) -> Look:
    header = source.image_header(source.grid.frames[place])
    return tuple(str(header.get(keyword)) for keyword in _COMMON_KEYWORDS)


def _state(source: SourceGrid, group: Sequence[Drawing], grey: GreyScale, model: ModelDescription) -> Dataset:
    """Return the object without dates and UIDs."""
    frames = [source.grid.frames[place] for place in dict.fromkeys(each.place for each in group)]
    header = source.image_header(frames[0])
    state = Dataset()
    state.file_meta = FileMetaDataset()
    state.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    state.SOPClassUID = state.file_meta.MediaStorageSOPClassUID = GrayscaleSoftcopyPresentationStateStorage
    for module in (source.modules, provenance.equipment(model)):
        state.update(module)
    state.Modality = "PR"
    state.SeriesNumber = provenance.series_number(model, KIND)
    state.SeriesDescription = provenance.series_description(model, "outlines", source.grid.count.views)
    state.ContentQualification = provenance.qualification(model, source.header.get("ContentQualification") or "")
    state.ContentLabel, state.ContentDescription, state.ContentCreatorName = "AI_UNVERIFIED", provenance.UNVERIFIED, ""
    series = Dataset()
    series.SeriesInstanceUID, series.ReferencedImageSequence = source.series_uid, references(frames)
    state.ReferencedSeriesSequence = [series]
    _draw(state, source, group, model)
    state.DisplayedAreaSelectionSequence = [_displayed_area(header)]
    grey.describe(state, frames)
    return state


def _draw(state: Dataset, source: SourceGrid, group: Sequence[Drawing], model: ModelDescription) -> None:
    """Add layers and annotations (PS3.3 C.10.5, C.10.7), and the text that no physician has verified them."""
    names = {layer: f"AI_{number}" for number, layer in enumerate(dict.fromkeys(each.layer for each in group), 1)}
    state.GraphicAnnotationSequence = [
        *(_annotation(each, names[each.layer], source) for each in group),
        _banner(f"{BANNER}: {provenance.clean_text(model.name)} {provenance.clean_text(model.version)}".strip()),
    ]
    layers = [_layer(names[layer], layer, order) for order, layer in enumerate(names, 1)]
    state.GraphicLayerSequence = [*layers, GraphicLayer("AI_BANNER", len(layers) + 1, description=BANNER)]


def _layer(name: str, layer: Layer, order: int) -> Dataset:
    item: Dataset = GraphicLayer(
        name, order, description=provenance.clean_text(layer.label), display_color=CIELabColor.from_rgb(*layer.colour)
    )
    return item


def _annotation(drawing: Drawing, layer: str, source: SourceGrid) -> Dataset:
    _, rows, columns = source.grid.shape[:3]
    places = [np.clip(points[:, ::-1] + 0.5, 0, (columns, rows)) for points in drawing.shapes]
    item = Dataset()
    item.ReferencedImageSequence = references([source.grid.frames[drawing.place]])
    item.GraphicLayer = layer
    item.GraphicObjectSequence = [_graphic(each, drawing.tracking) for each in places]
    highest = places[0][np.argmin(places[0][:, 1])]
    item.TextObjectSequence = [
        TextObject(
            drawing.text,
            AnnotationUnitsValues.PIXEL,
            anchor_point=(float(highest[0]), float(highest[1])),
            anchor_point_visible=False,
        )
    ]
    return item


def _graphic(points: np.ndarray[tuple[int, ...], np.dtype[np.float64]], tracking: tuple[str, str] | None) -> Dataset:
    """Return a point or closed polygon: (column, row) from the corner of the first pixel (PS3.3 C.10.5.1.2)."""
    is_point = len(points) == 1
    name, uid = tracking or (None, None)
    graphic: Dataset = GraphicObject(
        GraphicTypeValues.POINT if is_point else GraphicTypeValues.POLYLINE,
        points if is_point else np.vstack([points, points[:1]]),
        AnnotationUnitsValues.PIXEL,
        tracking_id=name,
        tracking_uid=uid,
    )
    return graphic


def _banner(text: str) -> Dataset:
    """Return the text at the upper edge of the screen."""
    item = Dataset()
    item.GraphicLayer = "AI_BANNER"
    item.TextObjectSequence = [
        TextObject(text, AnnotationUnitsValues.DISPLAY, bounding_box=_BANNER_BOX, text_justification="LEFT")
    ]
    return item


def _displayed_area(header: Dataset) -> Dataset:
    """Return the whole image as displayed area, with the true aspect ratio of its pixels (PS3.3 C.10.4)."""
    area = Dataset()
    area.DisplayedAreaTopLeftHandCorner = [1, 1]
    area.DisplayedAreaBottomRightHandCorner = [int(header.Columns), int(header.Rows)]
    area.PresentationSizeMode = "SCALE TO FIT"
    if header.get("PixelSpacing"):
        area.PresentationPixelSpacing = header.PixelSpacing
    else:
        area.PresentationPixelAspectRatio = _aspect(header)
    return area


def _aspect(header: Dataset) -> list[int]:
    for keyword in _ASPECT:
        sides = [float(value) for value in header.get(keyword) or ()]
        if len(sides) == len(("row", "column")) and min(sides) > 0:
            ratio = Fraction(sides[0] / sides[1]).limit_denominator(1000)
            return [ratio.numerator, ratio.denominator]
    return [1, 1]
