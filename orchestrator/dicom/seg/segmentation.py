"""Builds Segmentations: the masks of one grid as one SEG object (PS3.3 A.51, C.8.20).

They are built with pydicom, not with highdicom.seg.Segmentation. highdicom needs a 4-D array for overlapping
segments (9 times the time, 1.9 GB), refuses cine loops without patient geometry and stacks of frames from several
multi-frame objects, and assigns random UIDs.
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
from orchestrator.dicom.objects.masks import EncodedFrames, NonEmptySegment
from orchestrator.dicom.objects.provenance import Clock, DerivedUids, code_item
from orchestrator.dicom.objects.write_options import LABEL_MAP_STORAGE
from orchestrator.dicom.result.source_grid import SourceGrid
from orchestrator.dicom.seg.derived_object import derived_object
from orchestrator.dicom.seg.functional_groups import describe_frames
from orchestrator.dicom.seg.planes import Planes
from orchestrator.domain.code import Code
from orchestrator.domain.model import ModelDescription


def segmentation(
    source: SourceGrid,
    segments: Sequence[NonEmptySegment],
    frames: EncodedFrames,
    *,
    model: ModelDescription,
    clock: Clock,
    uids: DerivedUids,
) -> Dataset:
    """Return the SEG of one grid, complete except for check and storage."""
    kind = kind_of(source)
    sop_class = LABEL_MAP_STORAGE if frames.labelmap else SegmentationStorage
    seg = derived_object(source, sop_class, kind, model=model, clock=clock)
    seg.Modality = "SEG"
    seg.pop("Laterality", None)  # each segment has its laterality; dciodvfy reports one of the series as a fault
    _describe_segments(seg, source, segments, frames, model, uids)
    organisation = uids.of("dimensions", str(source.number))
    planes = Planes.of(source)
    describe_frames(seg, source, frames.contents, planes, organisation=organisation, derivation=codes.DCM.Segmentation)
    _put_pixels(seg, frames)
    provenance.stamp(seg, clock, uids, kind)
    return seg


def kind_of(source: SourceGrid) -> str:
    """Return the kind of a grid's SEG: one series per grid, since frames of reference may differ."""
    return "SEG" if source.number == 1 else f"SEG {source.number}"


def tracking_uid(source: SourceGrid, segment: NonEmptySegment, uids: DerivedUids) -> str:
    """Return the Tracking UID of a segment in SEG and SR."""
    return uids.of("tracking", str(source.number), segment.segment.label)


def tracking_id(source: SourceGrid, label: str) -> str:
    """Return the Tracking ID of a segment or region in SEG and SR."""
    return label if source.number == 1 else f"{label} ({source.number})"


def _describe_segments(
    seg: Dataset,
    source: SourceGrid,
    segments: Sequence[NonEmptySegment],
    frames: EncodedFrames,
    model: ModelDescription,
    uids: DerivedUids,
) -> None:
    seg.ImageType = ["DERIVED", "PRIMARY"]
    seg.SegmentationType = "LABELMAP" if frames.labelmap else "BINARY"
    seg.SegmentsOverlap = "YES" if frames.overlapping else "NO"
    seg.ContentLabel = "AI_SEGMENTATION"
    descriptions = [_description(source, segment, model, uids) for segment in segments]
    seg.SegmentSequence = [_background(descriptions[0]), *descriptions] if frames.labelmap else descriptions


def _description(source: SourceGrid, non_empty: NonEmptySegment, model: ModelDescription, uids: DerivedUids) -> Dataset:
    segment = non_empty.segment
    item: Dataset = SegmentDescription(
        segment_number=non_empty.number,
        segment_label=segment.label,
        segmented_property_category=coded(segment.category),
        segmented_property_type=coded(segment.type),
        algorithm_type="AUTOMATIC",
        algorithm_identification=AlgorithmIdentificationSequence(
            name=provenance.clean_text(model.name),
            version=provenance.clean_text(model.version) or "unknown",
            family=codes.DCM.ArtificialIntelligence,
        ),
        tracking_uid=tracking_uid(source, non_empty, uids),
        tracking_id=tracking_id(source, segment.label),
        display_color=CIELabColor.from_rgb(*non_empty.colour),
    )
    _add_site(item, segment.anatomy, segment.laterality)
    return item


def _add_site(item: Dataset, anatomy: Code | None, laterality: Code | None) -> None:
    """Add anatomic region and laterality; without region the laterality modifies the type (PS3.3 C.8.20.2)."""
    if anatomy is not None:
        item.AnatomicRegionSequence = [code_item(anatomy)]
        if laterality is not None:
            item.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = [code_item(laterality)]
    elif laterality is not None:
        item.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [code_item(laterality)]


def _background(first: Dataset) -> Dataset:
    """Return segment 0, which a label map must describe too."""
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
