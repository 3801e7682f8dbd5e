"""Segmentations: the masks of one grid as one SEG object on the grid of its source (PS3.3 A.51, C.8.20).

Written with pydicom rather than highdicom.seg.Segmentation: that one takes overlapping segments only as a
4-D stack (9 times the time, 1.9 GB), refuses loops without patient geometry and stacks whose frames come
from several multi-frame objects, and stamps each object with random UIDs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from highdicom import AlgorithmIdentificationSequence
from highdicom.color import CIELabColor
from highdicom.seg import SegmentDescription
from pydicom import Dataset
from pydicom.dataelem import DataElement
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.sr.codedict import codes
from pydicom.tag import BaseTag
from pydicom.uid import UID, ExplicitVRLittleEndian, SegmentationStorage
from pydicom.valuerep import DSfloat

from orchestrator.dicom import provenance
from orchestrator.dicom.concepts import coded
from orchestrator.dicom.grid import FrameReference
from orchestrator.dicom.masks import DrawnSegment, EncodedFrames
from orchestrator.dicom.provenance import Clock, Uids, code_item
from orchestrator.dicom.source import Source
from orchestrator.domain.code import Code
from orchestrator.domain.model import ModelDescription

LABEL_MAP_STORAGE = UID("1.2.840.10008.5.1.4.1.1.66.7")

_TAGS = {
    "DimensionIndexValues": BaseTag(0x00209157),
    "FrameContentSequence": BaseTag(0x00209111),
    "InStackPositionNumber": BaseTag(0x00209057),
    "StackID": BaseTag(0x00209056),
    "PlanePositionSequence": BaseTag(0x00209113),
    "ImagePositionPatient": BaseTag(0x00200032),
    "DerivationImageSequence": BaseTag(0x00089124),
    "SegmentIdentificationSequence": BaseTag(0x0062000A),
    "ReferencedSegmentNumber": BaseTag(0x0062000B),
}

_BY_SEGMENT = ("ReferencedSegmentNumber", "SegmentIdentificationSequence")
_BY_POSITION = ("ImagePositionPatient", "PlanePositionSequence")
_BY_NUMBER = ("InStackPositionNumber", "FrameContentSequence")


def segmentation(
    source: Source,
    segments: Sequence[DrawnSegment],
    frames: EncodedFrames,
    *,
    model: ModelDescription,
    clock: Clock,
    uids: Uids,
) -> Dataset:
    """Return the SEG of one grid, complete but for being checked and stored."""
    kind = kind_of(source)
    seg = Dataset()
    seg.file_meta = FileMetaDataset()
    seg.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    seg.SOPClassUID = LABEL_MAP_STORAGE if frames.labelmap else SegmentationStorage
    seg.file_meta.MediaStorageSOPClassUID = seg.SOPClassUID
    for module in (source.modules, provenance.equipment(model), source.sides):
        seg.update(module)
    seg.Modality = "SEG"
    seg.SeriesNumber, seg.InstanceNumber = provenance.series_number(model, kind), 1
    seg.SeriesDescription = provenance.series_description(model, kind)
    seg.ContentQualification = provenance.qualification(model, source.header.get("ContentQualification") or "")
    seg.ContributingEquipmentSequence = [provenance.contribution(model, clock)]
    if source.frame_of_reference:
        seg.FrameOfReferenceUID = source.frame_of_reference
        seg.PositionReferenceIndicator = source.header.get("PositionReferenceIndicator") or ""
    else:  # type 2C in General Image (PS3.3 C.7.6.1) where no plane orientation says it
        seg.PatientOrientation = source.first.get("PatientOrientation") or []
    _describe_segments(seg, source, segments, frames, model, uids)
    _describe_frames(seg, source, frames, uids)
    _put_pixels(seg, source, frames)
    _refer_to_source(seg, source)
    provenance.stamp(seg, clock, uids, kind)
    return seg


def kind_of(source: Source) -> str:
    """Return the kind of a grid's SEG: series of their own, since grids may lie in different frames of reference."""
    return "SEG" if source.number == 1 else f"SEG {source.number}"


def tracking_uid(source: Source, segment: DrawnSegment, uids: Uids) -> str:
    """Return the Tracking UID that a segment has in the SEG and in the SR."""
    return uids.of("tracking", str(source.number), segment.segment.label)


def tracking_id(source: Source, label: str) -> str:
    """Return the Tracking ID that a segment or region has in the SEG and in the SR."""
    return label if source.number == 1 else f"{label} ({source.number})"


def _describe_segments(
    seg: Dataset,
    source: Source,
    segments: Sequence[DrawnSegment],
    frames: EncodedFrames,
    model: ModelDescription,
    uids: Uids,
) -> None:
    seg.ImageType = ["DERIVED", "PRIMARY"]
    seg.SegmentationType = "LABELMAP" if frames.labelmap else "BINARY"
    seg.SegmentsOverlap = "YES" if frames.overlapping else "NO"
    seg.ContentLabel = "AI_SEGMENTATION"
    seg.ContentDescription = provenance.UNVERIFIED
    seg.ContentCreatorName = ""
    described = [_description(source, segment, model, uids) for segment in segments]
    seg.SegmentSequence = [_background(described[0]), *described] if frames.labelmap else described


def _description(source: Source, drawn: DrawnSegment, model: ModelDescription, uids: Uids) -> Dataset:
    segment = drawn.segment
    item: Dataset = SegmentDescription(
        segment_number=drawn.number,
        segment_label=segment.label,
        segmented_property_category=coded(segment.category),
        segmented_property_type=coded(segment.type),
        algorithm_type="AUTOMATIC",
        algorithm_identification=AlgorithmIdentificationSequence(
            name=provenance.text_of(model.name),
            version=provenance.text_of(model.version) or "unknown",
            family=codes.DCM.ArtificialIntelligence,
        ),
        tracking_uid=tracking_uid(source, drawn, uids),
        tracking_id=tracking_id(source, segment.label),
        display_color=CIELabColor.from_rgb(*drawn.colour),
    )
    _add_site(item, segment.anatomy, segment.laterality)
    return item


def _add_site(item: Dataset, anatomy: Code | None, laterality: Code | None) -> None:
    """Put the side with the anatomic region where there is one, else with the property type (PS3.3 C.8.20.2)."""
    if anatomy is not None:
        item.AnatomicRegionSequence = [code_item(anatomy)]
        if laterality is not None:
            item.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = [code_item(laterality)]
    elif laterality is not None:
        item.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [code_item(laterality)]


def _background(first: Dataset) -> Dataset:
    """Return segment 0, which a label map must describe as well."""
    item = Dataset()
    item.SegmentNumber, item.SegmentLabel = 0, "Background"
    item.SegmentedPropertyCategoryCodeSequence = [code_item(codes.DCM.Background)]
    item.SegmentedPropertyTypeCodeSequence = [code_item(codes.DCM.Background)]
    item.SegmentAlgorithmType, item.SegmentAlgorithmName = first.SegmentAlgorithmType, first.SegmentAlgorithmName
    item.RecommendedDisplayCIELabValue = list(CIELabColor(0.0, 0.0, 0.0).value)
    return item


def _describe_frames(seg: Dataset, source: Source, frames: EncodedFrames, uids: Uids) -> None:
    """Add the Multi-frame Functional Groups and Multi-frame Dimension modules (PS3.3 C.7.6.16, C.7.6.17)."""
    placed = bool(source.frame_of_reference)
    pointers = [] if frames.labelmap else [_BY_SEGMENT]
    pointers.append(_BY_POSITION if placed else _BY_NUMBER)
    organisation = uids.of("dimensions", str(source.number))
    seg.DimensionOrganizationSequence = [Dataset()]
    seg.DimensionOrganizationSequence[0].DimensionOrganizationUID = organisation
    seg.DimensionIndexSequence = [_dimension(organisation, *pointer) for pointer in pointers]
    seg.SharedFunctionalGroupsSequence = [_shared(source, placed)]
    seg.PerFrameFunctionalGroupsSequence = DicomSequence(_per_frame(source, frames, placed))
    seg.NumberOfFrames = len(frames.shown)


def _dimension(organisation: str, attribute: str, group: str) -> Dataset:
    item = Dataset()
    item.DimensionOrganizationUID = organisation
    item.DimensionIndexPointer = _TAGS[attribute]
    item.FunctionalGroupPointer = _TAGS[group]
    item.DimensionDescriptionLabel = attribute
    return item


def _shared(source: Source, placed: bool) -> Dataset:
    shared = Dataset()
    if source.pixel_spacing is not None:
        shared.PixelMeasuresSequence = [_pixel_measures(source)]
    if placed and source.orientation is not None:
        orientation = Dataset()
        orientation.ImageOrientationPatient = [_ds(value) for value in source.orientation]
        shared.PlaneOrientationSequence = [orientation]
    return shared


def _pixel_measures(source: Source) -> Dataset:
    item = Dataset()
    item.PixelSpacing = [_ds(value) for value in source.pixel_spacing or ()]
    between, thickness = source.slice_spacing_mm, source.first.get("SliceThickness")
    if thickness or between:
        item.SliceThickness = _ds(thickness or between)
    if between:
        item.SpacingBetweenSlices = _ds(between)
    return item


def _per_frame(source: Source, frames: EncodedFrames, placed: bool) -> Iterator[Dataset]:
    """Yield the functional groups of each frame; what frames have in common is built once and shared."""
    slices = sorted({index for _, index in frames.shown})
    rank = {index: number for number, index in enumerate(slices, 1)}
    derived = {index: _sequence("DerivationImageSequence", _derivation(source.grid.frames[index])) for index in slices}
    positions = {index: _sequence("PlanePositionSequence", _position(source, index)) for index in slices}
    numbers = {number: _segment_identification(number) for number, _ in frames.shown if number is not None}
    for number, index in frames.shown:
        groups = Dataset()
        groups.add(derived[index])
        groups.add(_frame_content(number, rank[index], stacked=not placed))
        if placed:
            groups.add(positions[index])
        if number is not None:
            groups.add(numbers[number])
        yield groups


def _frame_content(number: int | None, rank: int, *, stacked: bool) -> DataElement:
    content = Dataset()
    if stacked:
        content.add(DataElement(_TAGS["StackID"], "SH", "1"))
        content.add(DataElement(_TAGS["InStackPositionNumber"], "UL", rank))
    values = [rank] if number is None else [number, rank]
    content.add(DataElement(_TAGS["DimensionIndexValues"], "UL", values))
    return _sequence("FrameContentSequence", content)


def _segment_identification(number: int) -> DataElement:
    item = Dataset()
    item.add(DataElement(_TAGS["ReferencedSegmentNumber"], "US", number))
    return _sequence("SegmentIdentificationSequence", item)


def _position(source: Source, index: int) -> Dataset:
    item = Dataset()
    positions = source.grid.positions
    item.ImagePositionPatient = [] if positions is None else [_ds(value) for value in positions[index]]
    return item


def _derivation(frame: FrameReference) -> Dataset:
    image = Dataset()
    image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = frame.sop_class, frame.sop_uid
    if frame.frame is not None:
        image.ReferencedFrameNumber = frame.frame
    image.PurposeOfReferenceCodeSequence = [code_item(codes.DCM.SourceImageForImageProcessingOperation)]
    image.SpatialLocationsPreserved = "YES"
    item = Dataset()
    item.SourceImageSequence = [image]
    item.DerivationCodeSequence = [code_item(codes.DCM.Segmentation)]
    return item


def _sequence(keyword: str, item: Dataset) -> DataElement:
    return DataElement(_TAGS[keyword], "SQ", DicomSequence([item]))


def _put_pixels(seg: Dataset, source: Source, frames: EncodedFrames) -> None:
    _, seg.Rows, seg.Columns = source.grid.shape[:3]
    seg.SamplesPerPixel, seg.PhotometricInterpretation, seg.PixelRepresentation = 1, "MONOCHROME2", 0
    seg.BitsAllocated = seg.BitsStored = 8 if frames.labelmap else 1
    seg.HighBit = seg.BitsStored - 1
    if frames.labelmap:
        seg.PixelPaddingValue = 0
    seg.LossyImageCompression = str(source.header.get("LossyImageCompression") or "00")
    if seg.LossyImageCompression == "01":
        for keyword in ("LossyImageCompressionRatio", "LossyImageCompressionMethod"):
            if source.header.get(keyword):
                seg[keyword] = source.header[keyword]
    padding = b"\0" * (len(frames.pixels) % 2)
    seg.add_new(0x7FE00010, "OB", frames.pixels + padding)


def _refer_to_source(seg: Dataset, source: Source) -> None:
    """Add the Common Instance Reference module (PS3.3 C.12.2): every image of the grid."""
    series = Dataset()
    series.SeriesInstanceUID = source.series_uid
    series.ReferencedInstanceSequence = [_reference(frame) for frame in source.instances]
    seg.ReferencedSeriesSequence = [series]


def _reference(frame: FrameReference) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = frame.sop_class, frame.sop_uid
    return item


def _ds(value: Any) -> DSfloat:
    """Return a decimal string of at most 16 characters, as close to the value as that allows."""
    return DSfloat(value if isinstance(value, DSfloat) else float(value), auto_format=True)
