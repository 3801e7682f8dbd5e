"""Computes outlines of a mask on one slice, along the edges of its pixels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from orchestrator.domain.checks import MOST_POINTS

MOST_PIECES = 50

Points = npt.NDArray[np.float64]
"""(n, 2): row, column; whole numbers are pixel centres."""


def outline(plane: npt.NDArray[Any]) -> Points:
    """Return the outline of a mask's largest piece: the corners of its outer border, clockwise, not closed.

    plane: (row, column), not empty. Pixels of one piece share an edge; holes have no outline.
    The border follows pixel edges, so the area of the polygon is the area of the piece including holes.
    Very long borders are thinned to the number of points that one SCOORD can hold.
    """
    return next(outlines(plane))


def outlines(plane: npt.NDArray[Any]) -> Iterator[Points]:
    """Yield the outline of each piece of a mask, the largest piece first; see ``outline``.

    Of more than 50 pieces, only the 50 largest are outlined.
    """
    top, left = (int(np.argmax(plane.any(axis=axis))) for axis in (1, 0))
    pieces, _ = ndimage.label(plane[top:, left:])
    sizes = np.bincount(pieces.ravel())[1:]
    boxes = ndimage.find_objects(pieces)
    for number in np.argsort(-sizes, kind="stable")[:MOST_PIECES]:
        rows, columns = boxes[number]
        yield _border(pieces[rows, columns] == number + 1) + np.array((top + rows.start, left + columns.start))


def polygon_area(points: Points) -> float:
    """Return the area within a closed polygon in pixels (shoelace formula)."""
    rows, columns = points.T
    return float(abs(np.dot(rows, np.roll(columns, 1)) - np.dot(columns, np.roll(rows, 1))) / 2)


def _border(piece: npt.NDArray[np.bool_]) -> Points:
    """Return the corners of the outer border of one piece, thinned if there are too many."""
    border = _corners(_walk(ndimage.binary_fill_holes(piece)))
    step = -(-len(border) // MOST_POINTS)
    return border[::step]


def _walk(piece: npt.NDArray[np.bool_]) -> Points:
    """Return every pixel corner along the border of one piece without holes, clockwise.

    Border edges are directed so that the piece lies on their right. A 4-connected piece without (4-connected)
    holes passes each corner once, so exactly one edge starts at each corner.
    """
    frame = np.pad(piece, 1)
    inside, above, left = frame[1:, 1:], frame[:-1, 1:], frame[1:, :-1]
    width = inside.shape[1]
    corner = np.arange(inside.size).reshape(inside.shape)
    following = np.full(inside.size, -1)
    following[corner[inside & ~above]] = corner[inside & ~above] + 1
    following[corner[above & ~inside] + 1] = corner[above & ~inside]
    following[corner[inside & ~left] + width] = corner[inside & ~left]
    following[corner[left & ~inside]] = corner[left & ~inside] + width
    start = int(np.argmax(following >= 0))
    path = [start]
    while (there := int(following[path[-1]])) != start:
        path.append(there)
    return np.stack(np.divmod(np.array(path), width), axis=1) - 0.5


def _corners(path: Points) -> Points:
    """Return a closed path without the points on straight lines."""
    turns = np.any(np.roll(path, -1, axis=0) - path != path - np.roll(path, 1, axis=0), axis=1)
    return np.asarray(path[turns])
