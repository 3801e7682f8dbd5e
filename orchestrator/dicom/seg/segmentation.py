"""Segmentations: the masks of one grid as one SEG object on the grid of its source (PS3.3 A.51, C.8.20).

Written with pydicom rather than highdicom.seg.Segmentation: that one takes overlapping segments only as a
4-D stack (9 times the time, 1.9 GB), refuses loops without patient geometry and stacks whose frames come
from several multi-frame objects, and stamps each object with random UIDs.
"""

from __future__ import annotations

from collections.abc import Sequence

from highdicom import AlgorithmIdentificationSequence
from highdicom.color import CIELabColor
from highdicom.seg import SegmentDescription
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import SegmentationStorage

from orchestrator.dicom.objects import provenance
from orchestrator.dicom.objects.concepts import coded
from orchestrator.dicom.objects.masks import DrawnSegment, EncodedFrames
from orchestrator.dicom.objects.provenance import Clock, Uids, code_item
from orchestrator.dicom.objects.write_options import LABEL_MAP_STORAGE
from orchestrator.dicom.result.source import Source
from orchestrator.dicom.seg.derived import derived_object
from orchestrator.dicom.seg.functional_groups import describe_frames
from orchestrator.dicom.seg.planes import Planes
from orchestrator.domain.code import Code
from orchestrator.domain.model import ModelDescription


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
    sop_class = LABEL_MAP_STORAGE if frames.labelmap else SegmentationStorage
    seg = derived_object(source, sop_class, kind, model=model, clock=clock)
    seg.Modality = "SEG"
    seg.pop("Laterality", None)  # each segment says its side; dciodvfy takes one of the series for a fault
    _describe_segments(seg, source, segments, frames, model, uids)
    organisation = uids.of("dimensions", str(source.number))
    planes = Planes.of(source)
    describe_frames(seg, source, frames.shown, planes, organisation=organisation, derivation=codes.DCM.Segmentation)
    _put_pixels(seg, frames)
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


def _put_pixels(seg: Dataset, frames: EncodedFrames) -> None:
    seg.PixelRepresentation = 0
    seg.BitsAllocated = seg.BitsStored = 8 if frames.labelmap else 1
    seg.HighBit = seg.BitsStored - 1
    if frames.labelmap:
        seg.add_new("PixelPaddingValue", "US", 0)
    padding = b"\0" * (len(frames.pixels) % 2)
    seg.add_new(0x7FE00010, "OB", frames.pixels + padding)
