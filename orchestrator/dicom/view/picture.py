"""Paints one picture with Pillow: windowed grey values, masks, outlines, maps, banner and legend."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from orchestrator.dicom.objects.outline import Points
from orchestrator.dicom.view.heat_map import FADES_BELOW, apply_colours

Colour = tuple[int, int, int]
BANNER = "AI - not verified"

_WHITE, _BLACK, _WARNING = (255, 255, 255), (0, 0, 0), (255, 196, 60)
_LEGEND_LINES = 8
_IN_FONT = str.maketrans({"\N{GREEK SMALL LETTER MU}": "u", "\N{MINUS SIGN}": "-"})


@dataclass(frozen=True, slots=True)
class Scale:
    """Factors from image pixels to picture pixels along rows and columns; shapes keep their aspect ratio."""

    down: float
    across: float

    @classmethod
    def fit(cls, shape: tuple[int, int], spacing: tuple[float, float], size: int) -> Scale:
        """Return the scale for a longer side of ``size`` picture pixels; spacing: distance between (rows, columns)."""
        height, width = shape[0] * spacing[0], shape[1] * spacing[1]
        factor = size / max(height, width)
        return cls(spacing[0] * factor, spacing[1] * factor)

    def size(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Return width and height of the picture."""
        return max(1, round(shape[1] * self.across)), max(1, round(shape[0] * self.down))

    def place(self, points: Points) -> list[tuple[float, float]]:
        """Return (x, y) in the picture for (row, column) in the image; whole numbers are pixel centres."""
        return [((column + 0.5) * self.across, (row + 0.5) * self.down) for row, column in points]


def grey(values: npt.NDArray[Any], window: tuple[float, float]) -> npt.NDArray[np.uint8]:
    """Apply a linear window (centre, width); return 0..255 (PS3.3 C.11.2.1.2)."""
    centre, width = window[0], max(window[1], 1e-6)
    low = centre - width / 2
    return np.asarray(np.clip((values.astype(np.float32) - low) * (255.0 / width), 0, 255).astype(np.uint8))


Box = tuple[float, float, float, float]
"""Top, left, bottom, right in (row, column); whole numbers are pixel centres."""


class Picture:
    """The picture of one slice."""

    def __init__(self, pixels: npt.NDArray[np.uint8], scale: Scale) -> None:
        self._scale = scale
        self._size = scale.size((pixels.shape[0], pixels.shape[1]))
        plain = Image.fromarray(pixels).convert("RGB")
        self._image = plain.resize(self._size, Image.Resampling.BICUBIC)
        self._stroke = max(2, round(max(self._size) / 300))

    def paint(self, mask: npt.NDArray[np.bool_], colour: Colour, *, opacity: float, outline: bool) -> None:
        """Paint a colour over the pixels of a mask, and a line along its border."""
        resized_mask = Image.fromarray(mask.astype(np.uint8) * 255).resize(self._size, Image.Resampling.NEAREST)
        area = np.asarray(resized_mask) > 0
        pixels = np.asarray(self._image, dtype=np.float32).copy()
        pixels[area] = pixels[area] * (1 - opacity) + np.array(colour, dtype=np.float32) * opacity
        if outline:
            inner = ndimage.binary_erosion(area, iterations=self._stroke, border_value=1)
            pixels[area & ~inner] = colour
        self._image = Image.fromarray(pixels.astype(np.uint8))

    def heat(self, shares: npt.NDArray[np.float32], *, opacity: float, fades: bool) -> None:
        """Paint the colours of a map over the image.

        shares: (row, column), from 0 for the first colour to 1 for the last. fades: low values are transparent.
        """
        resized_map = Image.fromarray(shares).resize(self._size, Image.Resampling.BILINEAR)
        smooth = np.asarray(resized_map, dtype=np.float32).clip(0, 1)
        cover = opacity * (np.minimum(smooth / FADES_BELOW, 1) if fades else np.ones_like(smooth))[..., None]
        pixels = np.asarray(self._image, dtype=np.float32) * (1 - cover) + apply_colours(smooth) * cover
        self._image = Image.fromarray(pixels.astype(np.uint8))

    def draw(self, points: Points, colour: Colour) -> None:
        """Draw a closed polyline, or a ring with a cross for a single point."""
        pen, places = ImageDraw.Draw(self._image), self._scale.place(points)
        if len(places) == 1:
            self._mark(pen, places[0], colour)
            return
        polygon = [*places, places[0]]
        pen.line(polygon, fill=_BLACK, width=self._stroke + 2, joint="curve")
        pen.line(polygon, fill=colour, width=self._stroke, joint="curve")

    def frame(self, colour: Colour, inset: int) -> None:
        """Draw a frame along the border of the image, inside of ``inset`` other frames."""
        pen, (width, height) = ImageDraw.Draw(self._image), self._size
        margin = inset * (self._stroke + 2)
        pen.rectangle((margin, margin, width - 1 - margin, height - 1 - margin), outline=colour, width=self._stroke)

    def edges(self, *, left: str, right: str, top: str, bottom: str) -> None:
        """Write at the middle of each edge of the image which way of the patient it is."""
        pen, font, (width, height) = ImageDraw.Draw(self._image), self._font(), self._size
        gap = self._stroke + 2
        places = {
            "lm": (left, gap, height / 2),
            "rm": (right, width - 1 - gap, height / 2),
            "mt": (top, width / 2, gap),
            "mb": (bottom, width / 2, height - 1 - gap),
        }
        for anchor, (letters, x, y) in places.items():
            pen.text((x, y), letters, font=font, anchor=anchor, fill=_WHITE, stroke_width=1, stroke_fill=_BLACK)

    def corners(self, box: Box, colour: Colour = _WHITE) -> None:
        """Draw the corners of a box outside of its content, which stays visible."""
        pen, margin = ImageDraw.Draw(self._image), 3 * self._stroke
        (left, top), (right, bottom) = self._scale.place(np.array([box[:2], box[2:]]))
        left, top, right, bottom = left - margin, top - margin, right + margin, bottom + margin
        arm = max(margin, min(right - left, bottom - top) / 5)
        for x, inward in ((left, arm), (right, -arm)):
            for y, down in ((top, arm), (bottom, -arm)):
                for width, ink in ((self._stroke + 2, _BLACK), (self._stroke, colour)):
                    pen.line([(x + inward, y), (x, y), (x, y + down)], fill=ink, width=width, joint="curve")

    def _mark(self, pen: ImageDraw.ImageDraw, place: tuple[float, float], colour: Colour) -> None:
        (x, y), radius = place, max(7, max(self._size) // 50)
        for width, ink in ((self._stroke + 2, _BLACK), (self._stroke, colour)):
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=ink, width=width)
            pen.line((x - radius / 2, y, x + radius / 2, y), fill=ink, width=width)
            pen.line((x, y - radius / 2, x, y + radius / 2), fill=ink, width=width)

    @property
    def pixels(self) -> npt.NDArray[np.uint8]:
        """The picture as (row, column, 3), RGB 0..255."""
        return np.asarray(self._image)

    def widen(self, width: int) -> None:
        """Extend the picture to the right to at least this width, so that its text is readable."""
        if self._image.width < width:
            canvas = Image.new("RGB", (width, self._image.height), _BLACK)
            canvas.paste(self._image)
            self._image = canvas

    def banner(self, text: str = BANNER) -> None:
        """Add a band above the image with a text, by default that the result is not verified."""
        font = self._font()
        line, lines = self._line(font), self._wrap(text, font)
        band = self._band(line * len(lines) + 4)
        for number, content in enumerate(lines):
            ImageDraw.Draw(band).text((6, 2 + number * line), content, font=font, fill=_WARNING)
        self._stack(band, self._image)

    def legend(self, entries: Sequence[tuple[Sequence[Colour], str]]) -> None:
        """Add a band below the image with the legend: colours and text of each entry."""
        lines = list(entries[:_LEGEND_LINES])
        if len(entries) > len(lines):
            lines[-1] = ((_BLACK,), f"and {len(entries) - len(lines) + 1} more")
        font = self._font()
        line = self._line(font)
        band = self._band(line * len(lines) + 6)
        pen = ImageDraw.Draw(band)
        for number, (colours, text) in enumerate(lines):
            top = 3 + number * line
            width = line * 0.6 if len(colours) == 1 else line * 0.4 * len(colours)
            for place, colour in enumerate(colours):
                left, right = (6 + width * end / len(colours) for end in (place, place + 1))
                pen.rectangle((left, top + line * 0.2, right, top + line * 0.8), fill=colour)
            pen.text((12 + width + line * 0.1, top), self._cut(text, font, 12 + width), font=font, fill=_WHITE)
        self._stack(self._image, band)

    def png(self) -> bytes:
        """Return the picture as PNG."""
        buffer = BytesIO()
        self._image.save(buffer, "PNG", compress_level=4)
        return buffer.getvalue()

    def _band(self, height: int) -> Image.Image:
        return Image.new("RGB", (self._image.width, height), _BLACK)

    def _stack(self, *parts: Image.Image) -> None:
        whole = Image.new("RGB", (self._image.width, sum(part.height for part in parts)))
        top = 0
        for part in parts:
            whole.paste(part, (0, top))
            top += part.height
        self._image = whole

    def _font(self) -> Any:
        return ImageFont.load_default(size=min(28, max(11, max(self._size) // 34)))

    def _line(self, font: Any) -> int:
        return round(float(font.size) * 1.35)

    def _cut(self, text: str, font: Any, start: float = 0) -> str:
        """Return the text with characters of the font, cut to the width of the picture."""
        text = unicodedata.normalize("NFKC", text).translate(_IN_FONT)
        room = self._image.width - max(start + self._line(font), 2 * self._line(font))
        if font.getlength(text) <= room:
            return text
        while text and font.getlength(text + "…") > room:
            text = text[:-1]
        return text + "…"

    def _wrap(self, text: str, font: Any) -> list[str]:
        """Return the text as lines that fit the width."""
        lines: list[str] = []
        for word in text.split():
            longer = f"{lines[-1]} {word}" if lines else word
            if lines and font.getlength(longer) <= self._image.width - 12:
                lines[-1] = longer
            else:
                lines.append(self._cut(word, font))
        return lines
