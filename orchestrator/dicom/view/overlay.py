"""Draws pictures of a result from its DICOM files: source images with segments, outlines, points and maps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset, dcmread

from orchestrator.dicom.headers.attributes import number
from orchestrator.dicom.headers.geometry import distances, normal_of
from orchestrator.dicom.headers.header import read_instance
from orchestrator.dicom.headers.image_name import image_name
from orchestrator.dicom.headers.orientation import opposite, orientation_letters
from orchestrator.dicom.objects.masks import COLOURS
from orchestrator.dicom.objects.outline import polygon_area
from orchestrator.dicom.read.frames import Frame, frames_of
from orchestrator.dicom.read.grid import FrameReference
from orchestrator.dicom.read.kinds import is_image
from orchestrator.dicom.read.pixels import read_image
from orchestrator.dicom.view.heat_map import SCALE, MapMarks, is_map, map_marks
from orchestrator.dicom.view.marks import (
    Colour,
    OutlineMark,
    Place,
    SegmentationMarks,
    SegmentMark,
    finding_uids,
    image_marks,
    legend_texts,
    outline_marks,
    segmentation_marks,
)
from orchestrator.dicom.view.picture import Picture, Scale, grey
from orchestrator.dicom.view.spots import Spot, spots_of
from orchestrator.domain.errors import InputFault, UnsupportedInput

SMALLEST_PICTURE, LARGEST_PICTURE = 512, 1024
"""Default range of a picture's longer side in pixels: readable, and not larger than a page."""

HIDDEN_COLOUR: Colour = (110, 110, 110)
"""Legend colour of a map that is not drawn."""

_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio")
_SOFT_TISSUE = (40.0, 400.0)
_ALL_BUT_EXTREMES = (0.5, 99.5)


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """One colour of the legend with its label and text.

    scale: colours of a map, from its lowest value. visible: False for a map that is drawn only on request.
    """

    label: str
    colour: Colour
    text: str
    scale: tuple[Colour, ...] = ()
    visible: bool = True

    @property
    def colours(self) -> tuple[Colour, ...]:
        """The scale or the single colour; grey for a hidden map."""
        return (self.scale or (self.colour,)) if self.visible else (HIDDEN_COLOUR,)

    @property
    def description(self) -> str:
        """The text, with a note for a hidden map."""
        return self.text if self.visible else f"{self.text}, not drawn here"

    @property
    def line(self) -> str:
        """Label and description as one line."""
        return f"{self.label}: {self.description}" if self.description else self.label


class Overlay:
    """The source images of one result in the order of their numbers, with its segments, outlines, points and maps.

    Not thread-safe.
    """

    def __init__(
        self,
        frames: Sequence[Frame],
        segs: Sequence[Dataset],
        documents: Sequence[Dataset],
        maps: Sequence[MapMarks] = (),
    ) -> None:
        self._frames = _in_order(_referenced_frames(frames, documents))
        self._segmentations = [segmentation_marks(seg) for seg in segs]
        self._outlines = [mark for document in documents for mark in outline_marks(document)]
        self._images = [mark for document in documents for mark in image_marks(document)]
        self._texts = {uid: texts for document in documents for uid, texts in legend_texts(document).items()}
        self._finding_uids = {uid for document in documents for uid in finding_uids(document)}
        self._documents = documents
        self._maps = sorted(maps, key=lambda heat: heat.number)

    @classmethod
    def open(cls, sources: Sequence[Path], objects: Sequence[Path]) -> Overlay:
        """Return the overlay of objects on their source images; the order of the files does not matter.

        Raises UnreadableFile and UnsupportedInput.
        """
        maps = [path for path in objects if is_map(path)]
        datasets = [dcmread(path) for path in objects if path not in maps]
        frames = list(frames_of(instance for instance in map(read_instance, sources) if is_image(instance)))
        if not frames:
            raise UnsupportedInput(InputFault.NO_PIXELS, "none of the source files is an image")
        by_modality = {kind: [each for each in datasets if each.Modality == kind] for kind in ("SEG", "SR")}
        return cls(frames, by_modality["SEG"], by_modality["SR"], [map_marks(path) for path in maps])

    @property
    def slices(self) -> int:
        """The number of images."""
        return len(self._frames)

    @property
    def places(self) -> tuple[Place, ...]:
        """The image of each index."""
        return tuple(map(_place, self._frames))

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each image as a PACS shows it: ``image 104``, ``frame 12``, ``R MLO``; may be empty."""
        return tuple(image_name(frame.headers, frame.number) for frame in self._frames)

    @cached_property
    def best_slice(self) -> int:
        """The index (from 0) of the most informative image: with a finding's outline, any outline, best score, peak."""
        places = {_place(frame): index for index, frame in enumerate(self._frames)}
        if outlines := [mark for mark in self._outlines if mark.place in places]:
            of_findings = [mark for mark in outlines if mark.tracking_uid in self._finding_uids]
            best = of_findings[0] if of_findings else max(outlines, key=lambda mark: polygon_area(mark.points))
            return places[best.place]
        if images := [mark for mark in self._images if mark.place in places]:
            return places[max(images, key=lambda mark: mark.score).place]
        counts = Counter(place for _, segment in self._segments() for place in segment.frames if place in places)
        if counts:
            return places[counts.most_common(1)[0][0]]
        peaks = {place: heat.peak(place) for place in places if (heat := self._map_at(place)) is not None}
        return places[max(peaks, key=lambda place: peaks[place])] if peaks else len(self._frames) // 2

    @cached_property
    def map_names(self) -> tuple[str, ...]:
        """The names of the maps in the model's order; only one map can be drawn at a time."""
        return tuple(dict.fromkeys(heat.name for heat in self._maps))

    def _map_at(self, place: Place, chosen: int = 0) -> MapMarks | None:
        """Return the map with this index in ``map_names`` on an image, None where it has no frame there."""
        names = self.map_names[chosen : chosen + 1]
        return next((heat for heat in self._maps if heat.name in names and place in heat.frames), None)

    @cached_property
    def spots(self) -> Mapping[str, Spot]:
        """Entry of the result's summary (``findings/0``, ``measurements/2``) -> its spot, for entries with a place."""
        return spots_of(self._documents, self.places, self._outlines, self._segmentations)

    @cached_property
    def legend(self) -> tuple[LegendEntry, ...]:
        """The legend: one entry per segment, then one per kind of finding, then one per map."""
        entries = [
            LegendEntry(segment.label, segment.colour, ", ".join(self._texts.get(segment.tracking_uid, ())))
            for _, segment in self._segments()
        ]
        for name, colour in self._finding_colours.items():
            entries.append(LegendEntry(name, colour, ", ".join(self._finding_texts(name))))
        names = self.map_names[:1]
        entries += [
            LegendEntry(heat.name, SCALE[-1], heat.text, SCALE, visible=heat.name in names) for heat in self._maps
        ]
        return tuple(entries)

    def legend_of(self, index: int) -> tuple[LegendEntry, ...]:
        """Return the entries of the legend that apply to one image.

        Raises IndexError.
        """
        place = _place(self._frame(index))
        kinds = {_kind(mark) for mark in self._loose_outlines if mark.place == place}
        kinds |= {mark.finding for mark in self._images if mark.place == place}
        applies = [segmentation.shows(segment, place) for segmentation, segment in self._segments()]
        applies += [kind in kinds for kind in self._finding_colours]
        applies += [place in heat.frames for heat in self._maps]
        return tuple(compress(self.legend, applies))

    def _finding_texts(self, kind: str) -> Iterator[str]:
        """Yield the texts for one kind of finding: the texts of its places and their number."""
        marks = [mark for mark in self._loose_outlines if _kind(mark) == kind]
        images = [mark for mark in self._images if mark.finding == kind]
        for mark in marks:
            yield from self._texts.get(mark.tracking_uid, ())
        if len(marks) > 1:
            yield f"{len(marks)} places"
        if images:
            yield f"the whole image, {len(images)} image{'s' if len(images) > 1 else ''}"

    def png(
        self,
        index: int,
        *,
        opacity: float = 0.45,
        outline: bool = True,
        window: tuple[float, float] | None = None,
        size: int | None = None,
        banner: bool = True,
        legend: bool = False,
        spot: str = "",
        chosen_map: int = 0,
    ) -> bytes:
        """Return one image as PNG with its drawings; anisotropic pixels have their true aspect ratio.

        index: from 0, in the order of the images. size: longer side in pixels.
        window: (centre, width) in the unit of the image; None for the window of the header, else of the values.
        banner: whether to add the band "AI - not verified" above. legend: whether to add the full legend below.
        spot: the entry of ``spots`` to mark with corners, if it is on this image.
        chosen_map: index in ``map_names`` of the map to draw.
        Raises IndexError and UnsupportedInput.
        """
        picture = self.picture(index, opacity=opacity, outline=outline, window=window, size=size, chosen_map=chosen_map)
        place = self.spots.get(spot)
        if place is not None and place.slice == index and place.box is not None:
            picture.corners(place.box)
        if banner:
            picture.banner()
        if legend:
            picture.legend([(entry.colours, entry.line) for entry in self.legend])
        return picture.png()

    def picture(
        self,
        index: int,
        *,
        opacity: float = 0.45,
        outline: bool = True,
        window: tuple[float, float] | None = None,
        size: int | None = None,
        chosen_map: int = 0,
    ) -> Picture:
        """Return one image with its drawings and the letters of its edges, without bands; arguments as for ``png``.

        Raises IndexError and UnsupportedInput.
        """
        frame = self._frame(index)
        pixels = _pixels(frame)
        shape = (pixels.shape[0], pixels.shape[1])
        longer_side = size or min(LARGEST_PICTURE, max(SMALLEST_PICTURE, *shape))
        displayed_values = pixels if pixels.ndim == 3 else grey(pixels, window or _window(frame, pixels))
        picture = Picture(displayed_values.astype(np.uint8), Scale.fit(shape, _spacing(frame), longer_side))
        heat = self._map_at(_place(frame), chosen_map)
        if heat is not None:
            picture.heat(heat.shares(_place(frame)), opacity=opacity, fades=heat.fades)
        # a filled segment would hide the map
        self._paint(picture, frame, opacity if heat is None else 0.0, outline)
        self._draw(picture, frame)
        if letters := orientation_letters(frame.headers):
            picture.edges(left=opposite(letters[0]), right=letters[0], top=opposite(letters[1]), bottom=letters[1])
        return picture

    def window(self, index: int) -> tuple[float, float] | None:
        """Return the default window (centre, width) of an image, None for a colour image.

        Raises IndexError and UnsupportedInput.
        """
        frame = self._frame(index)
        return None if frame.layout.colour else _window(frame, _pixels(frame))

    def _paint(self, picture: Picture, frame: Frame, opacity: float, outline: bool) -> None:
        for segmentation, segment in self._segments():
            mask = segmentation.mask(segment, _place(frame))
            if mask is not None and mask.any():
                picture.paint(mask, segment.colour, opacity=opacity, outline=outline)

    def _draw(self, picture: Picture, frame: Frame) -> None:
        segment_colours = {segment.tracking_uid: segment.colour for _, segment in self._segments()}
        for mark in self._outlines:
            if mark.place == _place(frame):
                colour = segment_colours.get(mark.tracking_uid) or self._finding_colours[_kind(mark)]
                picture.draw(mark.points, colour)
        kinds = dict.fromkeys(mark.finding for mark in self._images if mark.place == _place(frame))
        for inset, kind in enumerate(kinds):
            picture.frame(self._finding_colours[kind], inset)

    def _frame(self, index: int) -> Frame:
        if not 0 <= index < len(self._frames):
            raise IndexError(f"slice {index} does not exist; the result has {len(self._frames)} slices, counted from 0")
        return self._frames[index]

    def _segments(self) -> Iterator[tuple[SegmentationMarks, SegmentMark]]:
        for segmentation in self._segmentations:
            for segment in segmentation.segments:
                yield segmentation, segment

    @property
    def _loose_outlines(self) -> list[OutlineMark]:
        """Outlines and points that do not belong to a segment."""
        segment_uids = {segment.tracking_uid for _, segment in self._segments()}
        return [mark for mark in self._outlines if mark.tracking_uid not in segment_uids]

    @cached_property
    def _finding_colours(self) -> Mapping[str, Colour]:
        offset = sum(1 for _ in self._segments())
        kinds = dict.fromkeys([*map(_kind, self._loose_outlines), *(mark.finding for mark in self._images)])
        return {kind: COLOURS[(offset + position) % len(COLOURS)] for position, kind in enumerate(kinds)}


def _kind(mark: OutlineMark) -> str:
    return mark.finding or mark.name


def _place(frame: Frame) -> Place:
    return frame.instance.sop_uid, frame.number or 1


def _referenced_frames(frames: Sequence[Frame], documents: Iterable[Dataset]) -> Sequence[Frame]:
    """Return the images in the evidence of the SRs; all images where there is no SR or it lists none of them."""
    image_uids = {
        instance.ReferencedSOPInstanceUID
        for document in documents
        for study in document.get("CurrentRequestedProcedureEvidenceSequence", [])
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    }
    return [frame for frame in frames if frame.instance.sop_uid in image_uids] or frames


def _in_order(frames: Sequence[Frame]) -> Sequence[Frame]:
    """Return the images along their common normal in the direction of their numbers, else by number."""
    planes = [frame.plane for frame in frames if frame.plane is not None]
    if len(planes) == len(frames):
        normals = np.array([normal_of(plane.orientation) for plane in planes])
        if np.allclose(normals, normals[0], atol=1e-3):
            ordered = [frames[index] for index in np.argsort(distances(planes), kind="stable")]
            return ordered[::-1] if _number(ordered[0]) > _number(ordered[-1]) else ordered
    return sorted(frames, key=_number)


def _number(frame: Frame) -> tuple[float, str, int]:
    """Return what orders images in a PACS: the number of the instance, then that of the frame."""
    return number(frame.headers, "InstanceNumber") or 0.0, frame.instance.sop_uid, frame.number or 0


def _pixels(frame: Frame) -> npt.NDArray[Any]:
    """Return (row, column) in the unit of the image, or (row, column, 3)."""
    return read_image(FrameReference.of(frame))


def _spacing(frame: Frame) -> tuple[float, float]:
    """Return the distance between (rows, columns); only their ratio matters."""
    for keyword in _SPACINGS:
        values = [float(value) for value in frame.headers.get(keyword, ()) if float(value) > 0]
        if len(values) == len(("row", "column")):
            return values[0], values[1]
    return 1.0, 1.0


def _window(frame: Frame, pixels: npt.NDArray[Any]) -> tuple[float, float]:
    """Return the first window of the header, else soft tissue for a CT, else a window of nearly all values.

    The window of an inverted image (MONOCHROME1) is ignored: it applies to the values before inversion.
    """
    centre, width = (number(frame.headers, keyword) for keyword in ("WindowCenter", "WindowWidth"))
    if centre is not None and width is not None and width > 1 and not frame.layout.inverted:
        return centre, width
    if frame.headers.get("Modality") == ("CT",):
        return _SOFT_TISSUE
    low, high = np.percentile(pixels, _ALL_BUT_EXTREMES)
    return float(low + high) / 2, max(float(high - low), 1.0)
