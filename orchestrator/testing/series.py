"""Synthetic images on disk, read as the host reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.uid import ExplicitVRLittleEndian

from orchestrator.dicom import fill, gather, plan, read_instance
from orchestrator.domain.model import Accepts, Geometry
from orchestrator.domain.volume import Volume
from orchestrator.testing.enhanced import enhanced
from orchestrator.testing.phantom import Phantom
from orchestrator.testing.pixels import encode
from orchestrator.testing.projection import Projection


@dataclass(frozen=True, slots=True)
class SyntheticSeries:
    """A phantom that lies on disk."""

    phantom: Phantom
    paths: tuple[Path, ...]

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """(slice, row, column): where the lesion is."""
        return self.phantom.mask

    def read(self, accepts: Accepts | None = None) -> Volume:
        """Return the volume that the host would give to a model. Raises as ``read_series`` does."""
        return read_series(self.paths, accepts)


@dataclass(frozen=True, slots=True)
class SyntheticImages:
    """Images without a place in the patient that lie on disk."""

    projection: Projection
    paths: tuple[Path, ...]

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """(image, row, column): where the bright square is."""
        return self.projection.mask

    def read(self, accepts: Accepts | None = None) -> Volume:
        """Return the images that the host would give to a model. Raises as ``read_series`` does."""
        return read_series(self.paths, accepts or Accepts(geometry=Geometry.IMAGE))


def synthetic_series(folder: Path, *, multi_frame: bool = False, **parameters: Any) -> SyntheticSeries:
    """Return a series written into the folder; the parameters are those of Phantom.

    multi_frame: one Enhanced CT or MR object instead of one file for each slice.
    """
    phantom = Phantom(**parameters)
    if not multi_frame:
        return SyntheticSeries(phantom, tuple(phantom.write(folder)))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "enhanced.dcm"
    encode(enhanced(phantom), ExplicitVRLittleEndian).save_as(path, enforce_file_format=True)
    return SyntheticSeries(phantom, (path,))


def synthetic_images(folder: Path, **parameters: Any) -> SyntheticImages:
    """Return images (CR, DX, US or OT) written into the folder; the parameters are those of Projection."""
    projection = Projection(**parameters)
    return SyntheticImages(projection, tuple(projection.write(folder)))


def read_series(paths: Sequence[Path], accepts: Accepts | None = None) -> Volume:
    """Return the files as the (first) volume that a model which takes ``accepts`` is given.

    Raises UnreadableFile and UnsupportedInput, as the host does.
    """
    series = gather([read_instance(path) for path in paths])
    grid = plan(series, accepts or Accepts())[0]
    return fill(grid, np.empty(grid.shape, grid.dtype))
