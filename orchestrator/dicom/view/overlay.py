"""Pictures of a result, drawn from the DICOM files alone: source images with what SEG and SR say about them."""

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

from orchestrator.dicom.objects.masks import COLOURS
from orchestrator.dicom.objects.outline import polygon_area
from orchestrator.dicom.read.attributes import number
from orchestrator.dicom.read.frames import Frame, frames_of
from orchestrator.dicom.read.geometry import distances, normal_of
from orchestrator.dicom.read.grid import FrameReference
from orchestrator.dicom.read.header import read_instance
from orchestrator.dicom.read.pixels import read_image
from orchestrator.dicom.read.series import is_image
from orchestrator.dicom.view.heat_map import SCALE, MapMarks, is_map, map_marks
from orchestrator.dicom.view.marks import (
    Colour,
    OutlineMark,
    Place,
    SegmentationMarks,
    SegmentMark,
    image_marks,
    outline_marks,
    segmentation_marks,
    stating,
    words,
)
from orchestrator.dicom.view.picture import Picture, Scale, grey
from orchestrator.dicom.view.spots import Spot, spots_of
from orchestrator.domain.errors import InputFault, UnsupportedInput

SMALLEST_PICTURE, LARGEST_PICTURE = 512, 1024
"""Longer side in pixels of a picture whose size nobody chose: readable, and not larger than a page."""

NOT_DRAWN: Colour = (110, 110, 110)
"""In the legend, of a map beside the one that is drawn."""

_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio")
_SOFT_TISSUE = (40.0, 400.0)
_ALL_BUT_EXTREMES = (0.5, 99.5)


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """One colour: whose it is and what is said about it.

    scale: of a map, its colours from the lowest value up. drawn: not a map that is drawn only where it is chosen.
    """

    label: str
    colour: Colour
    text: str
    scale: tuple[Colour, ...] = ()
    drawn: bool = True

    @property
    def colours(self) -> tuple[Colour, ...]:
        """The scale or the one colour, grey where nothing is drawn in it."""
        return (self.scale or (self.colour,)) if self.drawn else (NOT_DRAWN,)

    @property
    def said(self) -> str:
        """The text, and that nothing is drawn where that is so."""
        return self.text if self.drawn else f"{self.text}, not drawn here"

    @property
    def line(self) -> str:
        """All as one line of text."""
        return f"{self.label}: {self.said}" if self.said else self.label


class Overlay:
    """The source images of one result in anatomical order, with its segments, outlines and points, and one of its maps.

    Not for several threads at once.
    """

    def __init__(
        self,
        frames: Sequence[Frame],
        segs: Sequence[Dataset],
        documents: Sequence[Dataset],
        maps: Sequence[MapMarks] = (),
    ) -> None:
        self._frames = _ordered(_referenced(frames, documents))
        self._segmentations = [segmentation_marks(seg) for seg in segs]
        self._outlines = [mark for document in documents for mark in outline_marks(document)]
        self._images = [mark for document in documents for mark in image_marks(document)]
        self._words = {uid: said for document in documents for uid, said in words(document).items()}
        self._stating = {uid for document in documents for uid in stating(document)}
        self._documents = documents
        self._maps = sorted(maps, key=lambda heat: heat.number)

    @classmethod
    def open(cls, sources: Sequence[Path], objects: Sequence[Path]) -> Overlay:
        """Return the overlay of some objects over the images they were made from, whatever the files' order.

        Raises UnreadableFile and UnsupportedInput.
        """
        maps = [path for path in objects if is_map(path)]
        written = [dcmread(path) for path in objects if path not in maps]
        frames = list(frames_of(instance for instance in map(read_instance, sources) if is_image(instance)))
        if not frames:
            raise UnsupportedInput(InputFault.NO_PIXELS, "none of the source files holds an image")
        by_modality = {kind: [each for each in written if each.Modality == kind] for kind in ("SEG", "SR")}
        return cls(frames, by_modality["SEG"], by_modality["SR"], [map_marks(path) for path in maps])

    @property
    def slices(self) -> int:
        """How many images there are."""
        return len(self._frames)

    @property
    def places(self) -> tuple[Place, ...]:
        """Which image each index is."""
        return tuple(map(_place, self._frames))

    @cached_property
    def best_slice(self) -> int:
        """The index, from 0, of the image that shows most: a finding's place, an outline, the best score, a peak."""
        places = {_place(frame): index for index, frame in enumerate(self._frames)}
        drawn = [mark for mark in self._outlines if mark.place in places]
        key_slices = [mark for mark in drawn if mark.tracking_uid in self._stating]
        if drawn:
            best_scored = key_slices[0] if key_slices else max(drawn, key=lambda mark: polygon_area(mark.points))
            return places[best_scored.place]
        if showing := [mark for mark in self._images if mark.place in places]:
            return places[max(showing, key=lambda mark: mark.score).place]
        shown = Counter(place for _, segment in self._segments() for place in segment.frames if place in places)
        if shown:
            return places[shown.most_common(1)[0][0]]
        return places[max(peaks, key=lambda place: peaks[place])] if (peaks := self._peaks) else len(self._frames) // 2

    @cached_property
    def map_names(self) -> tuple[str, ...]:
        """The maps among which one can be chosen, in the model's order; two would hide each other."""
        return tuple(dict.fromkeys(heat.name for heat in self._maps))

    def _map_at(self, place: Place, chosen: int = 0) -> MapMarks | None:
        """Return the map of that name on an image; None where there is none."""
        names = self.map_names[chosen : chosen + 1]
        return next((heat for heat in self._maps if heat.name in names and place in heat.frames), None)

    @property
    def _peaks(self) -> Mapping[Place, float]:
        """The highest value of the first map, for each image that it covers."""
        return {place: heat.peak(place) for place in self.places if (heat := self._map_at(place)) is not None}

    @cached_property
    def spots(self) -> Mapping[str, Spot]:
        """Where each entry of the result's summary is that has a place: ``findings/0``, ``measurements/2``."""
        return spots_of(self._documents, self.places, self._outlines, self._segmentations)

    @cached_property
    def legend(self) -> tuple[LegendEntry, ...]:
        """What the colours mean: one entry for each segment, then one for each kind of finding, then each map."""
        entries = [
            LegendEntry(segment.label, segment.colour, ", ".join(self._words.get(segment.tracking_uid, ())))
            for _, segment in self._segments()
        ]
        for name, colour in self._finding_colours.items():
            entries.append(LegendEntry(name, colour, ", ".join(self._said_of(name))))
        return (*entries, *map(self._map_entry, self._maps))

    def _map_entry(self, heat: MapMarks) -> LegendEntry:
        return LegendEntry(heat.name, SCALE[-1], heat.text, SCALE, drawn=heat.name in self.map_names[:1])

    def legend_of(self, index: int) -> tuple[LegendEntry, ...]:
        """Return the entries of the legend for what is drawn on one image.

        Raises IndexError.
        """
        place = _place(self._frame(index))
        kinds = {_kind(mark) for mark in self._loose_outlines if mark.place == place}
        kinds |= {mark.finding for mark in self._images if mark.place == place}
        shown = [segmentation.shows(segment, place) for segmentation, segment in self._segments()]
        mapped = [place in heat.frames for heat in self._maps]
        return tuple(compress(self.legend, [*shown, *(kind in kinds for kind in self._finding_colours), *mapped]))

    def _said_of(self, kind: str) -> Iterator[str]:
        """Yield the words for one kind of finding: what is said of its places, and how many there are."""
        marks = [mark for mark in self._loose_outlines if _kind(mark) == kind]
        images = [mark for mark in self._images if mark.finding == kind]
        for mark in marks:
            yield from self._words.get(mark.tracking_uid, ())
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
        """Return one image as PNG with all that is drawn on it, anisotropic pixels in their true aspect.

        index: from 0, along the normal of the images. size: of the image's longer side in pixels.
        window: (centre, width) in the images' unit; None = the header's, else by the distribution of values.
        banner: a band above, "AI - not verified". legend: a band below, the same for every image.
        spot: the entry of ``spots`` that gets corners round it, where it is on this image.
        chosen_map: the place in ``map_names`` of the map that is drawn.
        Raises IndexError and UnsupportedInput.
        """
        picture = self.picture(index, opacity=opacity, outline=outline, window=window, size=size, chosen_map=chosen_map)
        told = self.spots.get(spot)
        if told is not None and told.slice == index and told.box is not None:
            picture.corners(told.box)
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
        """Return one image with all that is drawn on it, to which bands can be added; arguments as of ``png``.

        Raises IndexError and UnsupportedInput.
        """
        frame = self._frame(index)
        pixels = _pixels(frame)
        shape = (pixels.shape[0], pixels.shape[1])
        chosen = size or min(LARGEST_PICTURE, max(SMALLEST_PICTURE, *shape))
        shown = pixels if pixels.ndim == 3 else grey(pixels, window or _window(frame, pixels))
        picture = Picture(shown.astype(np.uint8), Scale.fitting(shape, _spacing(frame), chosen))
        heat = self._map_at(_place(frame), chosen_map)
        if heat is not None:
            picture.heat(heat.shares(_place(frame)), opacity=opacity, fades=heat.fades)
        # the colour of a segment would hide the map
        self._paint(picture, frame, opacity if heat is None else 0.0, outline)
        self._draw(picture, frame)
        return picture

    def window(self, index: int) -> tuple[float, float] | None:
        """Return the (centre, width) with which ``png`` shows an image where none is given, None for a colour image.

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
        of_segments = {segment.tracking_uid: segment.colour for _, segment in self._segments()}
        for mark in self._outlines:
            if mark.place == _place(frame):
                colour = of_segments.get(mark.tracking_uid) or self._finding_colours[_kind(mark)]
                picture.draw(mark.points, colour)
        shown = dict.fromkeys(mark.finding for mark in self._images if mark.place == _place(frame))
        for inset, kind in enumerate(shown):
            picture.frame(self._finding_colours[kind], inset)

    def _frame(self, index: int) -> Frame:
        if not 0 <= index < len(self._frames):
            raise IndexError(f"there is no slice {index}; there are {len(self._frames)}, from 0")
        return self._frames[index]

    def _segments(self) -> Iterator[tuple[SegmentationMarks, SegmentMark]]:
        for segmentation in self._segmentations:
            for segment in segmentation.segments:
                yield segmentation, segment

    @property
    def _loose_outlines(self) -> list[OutlineMark]:
        """Outlines and points that belong to no segment."""
        of_segments = {segment.tracking_uid for _, segment in self._segments()}
        return [mark for mark in self._outlines if mark.tracking_uid not in of_segments]

    @cached_property
    def _finding_colours(self) -> Mapping[str, Colour]:
        taken = sum(1 for _ in self._segments())
        kinds = dict.fromkeys([*map(_kind, self._loose_outlines), *(mark.finding for mark in self._images)])
        return {kind: COLOURS[(taken + position) % len(COLOURS)] for position, kind in enumerate(kinds)}


def _kind(mark: OutlineMark) -> str:
    return mark.finding or mark.name


def _place(frame: Frame) -> Place:
    return frame.instance.sop_uid, frame.number or 1


def _referenced(frames: Sequence[Frame], documents: Iterable[Dataset]) -> Sequence[Frame]:
    """Return the images that an SR lists as evidence; all where there is no SR or it lists none of them."""
    listed = {
        instance.ReferencedSOPInstanceUID
        for document in documents
        for study in document.get("CurrentRequestedProcedureEvidenceSequence", [])
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    }
    return [frame for frame in frames if frame.instance.sop_uid in listed] or frames


def _ordered(frames: Sequence[Frame]) -> Sequence[Frame]:
    """Return the images along their common normal, else by instance number."""
    planes = [frame.plane for frame in frames if frame.plane is not None]
    if len(planes) == len(frames):
        normals = np.array([normal_of(plane.orientation) for plane in planes])
        if np.allclose(normals, normals[0], atol=1e-3):
            return [frames[index] for index in np.argsort(distances(planes), kind="stable")]
    return sorted(frames, key=_turn)


def _turn(frame: Frame) -> tuple[float, str, int]:
    return number(frame.headers, "InstanceNumber") or 0.0, frame.instance.sop_uid, frame.number or 0


def _pixels(frame: Frame) -> npt.NDArray[Any]:
    """Return (row, column) in the unit of the image, or (row, column, 3)."""
    at = frame.instance
    return read_image(FrameReference(at.path, at.sop_uid, at.sop_class, frame.number, frame.layout, frame.rescale))


def _spacing(frame: Frame) -> tuple[float, float]:
    """Return the distance between (rows, columns); only their ratio matters."""
    for keyword in _SPACINGS:
        values = [float(value) for value in frame.headers.get(keyword, ()) if float(value) > 0]
        if len(values) == len(("row", "column")):
            return values[0], values[1]
    return 1.0, 1.0


def _window(frame: Frame, pixels: npt.NDArray[Any]) -> tuple[float, float]:
    """Return the header's first window, soft tissue for a CT without one, else what holds nearly all values.

    The window of an image that was turned round (MONOCHROME1) is one of the values before that.
    """
    centre, width = (number(frame.headers, keyword) for keyword in ("WindowCenter", "WindowWidth"))
    if centre is not None and width is not None and width > 1 and not frame.layout.inverted:
        return centre, width
    if frame.headers.get("Modality") == ("CT",):
        return _SOFT_TISSUE
    low, high = np.percentile(pixels, _ALL_BUT_EXTREMES)
    return float(low + high) / 2, max(float(high - low), 1.0)
