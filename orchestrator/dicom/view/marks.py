"""Reads the drawable content of SEG and SR objects: segments, outlines, images with a score."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from highdicom.color import CIELabColor
from pydicom import Dataset

from orchestrator.dicom.objects import concepts as own
from orchestrator.dicom.objects import sr_tree
from orchestrator.dicom.objects.masks import COLOURS
from orchestrator.dicom.objects.outline import Points
from orchestrator.domain import concepts

Place = tuple[str, int]
"""SOP Instance UID and frame number; frame 1 for a single-frame image."""
Colour = tuple[int, int, int]

_TRACKING_ID, _TRACKING_UID, _FINDING = "112039", "112040", "121071"
_PRESENCE = {code.value for code in own.PRESENCE.values()}


@dataclass(frozen=True, slots=True, eq=False)
class SegmentMark:
    """One segment of one SEG. frames: image -> index of the frame on it."""

    number: int
    label: str
    tracking_uid: str
    colour: Colour
    frames: Mapping[Place, int]


@dataclass(frozen=True, slots=True, eq=False)
class SegmentationMarks:
    """The segments of a SEG and its pixels."""

    segments: tuple[SegmentMark, ...]
    rows: int
    columns: int
    label_map: bool
    pixels: bytes

    def mask(self, segment: SegmentMark, place: Place) -> npt.NDArray[np.bool_] | None:
        """Return the mask (row, column) of a segment on an image, None where it has no frame there."""
        frame = segment.frames.get(place)
        if frame is None:
            return None
        size = self.rows * self.columns
        if self.label_map:
            labels = np.frombuffer(self.pixels, np.uint8, size, frame * size)
            return np.asarray(labels.reshape(self.rows, self.columns) == segment.number)
        first, last = frame * size, (frame + 1) * size
        content = np.frombuffer(self.pixels[first // 8 : -(-last // 8)], np.uint8)
        bits = np.unpackbits(content, bitorder="little")[first % 8 : first % 8 + size]
        return bits.reshape(self.rows, self.columns).astype(bool)

    def shows(self, segment: SegmentMark, place: Place) -> bool:
        """Return whether a segment has a voxel on an image."""
        mask = self.mask(segment, place)
        return mask is not None and bool(mask.any())


@dataclass(frozen=True, slots=True, eq=False)
class OutlineMark:
    """One SCOORD of the SR. points: (row, column), whole numbers are pixel centres; a single point or a polygon."""

    name: str
    finding: str
    tracking_uid: str
    place: Place
    points: Points
    score: float | None


@dataclass(frozen=True, slots=True)
class ImageMark:
    """An image with a score for a finding, without a place on the image."""

    finding: str
    place: Place
    score: float


def segmentation_marks(seg: Dataset) -> SegmentationMarks:
    """Return the segments of a SEG with the image of each of their frames."""
    frames: dict[int, dict[Place, int]] = {}
    label_map = seg.SegmentationType == "LABELMAP"
    numbers = [int(segment.SegmentNumber) for segment in seg.SegmentSequence]
    for index, groups in enumerate(seg.PerFrameFunctionalGroupsSequence):
        source = groups.DerivationImageSequence[0].SourceImageSequence[0]
        frame_numbers = numbers if label_map else [groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber]
        for number in frame_numbers:
            frames.setdefault(int(number), {})[place_of(source)] = index
    segments = tuple(
        SegmentMark(
            int(segment.SegmentNumber),
            segment.SegmentLabel,
            segment.get("TrackingUID", ""),
            _rgb(segment),
            frames.get(int(segment.SegmentNumber), {}),
        )
        for segment in seg.SegmentSequence
        if segment.SegmentNumber != 0
    )
    return SegmentationMarks(segments, seg.Rows, seg.Columns, label_map, seg.PixelData)


def outline_marks(document: Dataset) -> Iterator[OutlineMark]:
    """Yield the 2-D coordinates of an SR."""
    for group in sr_tree.groups(document):
        items = sr_tree.children(group)
        by_concept = {sr_tree.concept(item): item for item in items}
        score = by_concept.get(own.REGION_SCORE.value)
        for item in items:
            if item.ValueType == "SCOORD":
                yield OutlineMark(
                    name=by_concept[_TRACKING_ID].TextValue,
                    finding=sr_tree.meaning(by_concept[_FINDING]) if _FINDING in by_concept else "",
                    tracking_uid=by_concept[_TRACKING_UID].UID,
                    place=place_of(item.ContentSequence[0].ReferencedSOPSequence[0]),
                    points=np.array(item.GraphicData, dtype=np.float64).reshape(-1, 2)[:, ::-1] - 0.5,
                    score=None if score is None else sr_tree.number(score),
                )


def image_marks(document: Dataset) -> Iterator[ImageMark]:
    """Yield the images with a score for a finding; scores are below the finding or beside it in its group."""
    for group in sr_tree.groups(document):
        items = sr_tree.children(group)
        for finding in filter(_is_finding, items):
            for score in sr_tree.children(finding) or items:
                if _measures(score, own.IMAGE_SCORE.value):
                    for reference in sr_tree.images(score):
                        yield ImageMark(sr_tree.name(finding), place_of(reference), sr_tree.number(score))


def legend_texts(document: Dataset) -> Mapping[str, tuple[str, ...]]:
    """Return tracking UID -> texts of the legend: volume, findings with their presence, score."""
    texts: dict[str, tuple[str, ...]] = {}
    for group in sr_tree.groups(document):
        items = sr_tree.children(group)
        for item in items:
            if sr_tree.concept(item) == _TRACKING_UID:
                texts[item.UID] = (*texts.get(item.UID, ()), *_legend_texts(items))
    return texts


def finding_uids(document: Dataset) -> frozenset[str]:
    """Return the tracking UIDs of the measurement groups with a finding."""
    return frozenset(
        uid.UID
        for group in sr_tree.groups(document)
        for uid in sr_tree.children(group)
        if sr_tree.concept(uid) == _TRACKING_UID and any(map(_is_finding, sr_tree.children(group)))
    )


def _legend_texts(items: Sequence[Dataset]) -> Iterator[str]:
    yield from (f"{sr_tree.number(item):,.4g} ml" for item in items if _measures(item, concepts.VOLUME.value))
    kind = next((sr_tree.meaning(item) for item in items if sr_tree.concept(item) == _FINDING), "")
    for item in filter(_is_finding, items):
        presence, name = sr_tree.meaning(item).lower(), sr_tree.name(item)
        yield presence if name == kind else f"{name}: {presence}"
    yield from (f"score {sr_tree.number(item):.2f}" for item in items if _measures(item, own.SCORE.value))


def _measures(item: Dataset, concept: str) -> bool:
    return sr_tree.is_number(item) and sr_tree.concept(item) == concept


def _is_finding(item: Dataset) -> bool:
    return sr_tree.code(item) in _PRESENCE


def place_of(reference: Dataset) -> Place:
    """Return the image that a reference (PS3.3 10.3) names."""
    return str(reference.ReferencedSOPInstanceUID), sr_tree.frame_number(reference)


def _rgb(segment: Dataset) -> Colour:
    if "RecommendedDisplayCIELabValue" not in segment:
        return COLOURS[(int(segment.SegmentNumber) - 1) % len(COLOURS)]
    red, green, blue = CIELabColor.from_dicom_value(segment.RecommendedDisplayCIELabValue).to_rgb(clip=True)
    return int(red), int(green), int(blue)
