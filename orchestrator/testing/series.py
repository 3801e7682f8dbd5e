"""Synthetic series and images on disk, and reading them like the host does."""

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
    """A phantom written to disk."""

    phantom: Phantom
    paths: tuple[Path, ...]

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """(slice, row, column): the mask of the lesion."""
        return self.phantom.mask

    def read(self, accepts: Accepts | None = None) -> Volume:
        """Return the volume as the host passes it to a model. Raises the exceptions of ``read_series``."""
        return read_series(self.paths, accepts)


@dataclass(frozen=True, slots=True)
class SyntheticImages:
    """Images without patient geometry, written to disk."""

    projection: Projection
    paths: tuple[Path, ...]

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """(image, row, column): the mask of the bright square."""
        return self.projection.mask

    def read(self, accepts: Accepts | None = None) -> Volume:
        """Return the images as the host passes them to a model. Raises the exceptions of ``read_series``."""
        return read_series(self.paths, accepts or Accepts(geometry=Geometry.IMAGE))


def synthetic_series(folder: Path, *, multi_frame: bool = False, **parameters: Any) -> SyntheticSeries:
    """Write a series to the folder and return it; the parameters are those of Phantom.

    multi_frame: write one Enhanced CT or MR object instead of one file per slice.
    """
    phantom = Phantom(**parameters)
    if not multi_frame:
        return SyntheticSeries(phantom, tuple(phantom.write(folder)))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "enhanced.dcm"
    encode(enhanced(phantom), ExplicitVRLittleEndian).save_as(path, enforce_file_format=True)
    return SyntheticSeries(phantom, (path,))


def synthetic_images(folder: Path, **parameters: Any) -> SyntheticImages:
    """Write images (CR, DX, MG, US or OT) to the folder and return them; the parameters are those of Projection."""
    projection = Projection(**parameters)
    return SyntheticImages(projection, tuple(projection.write(folder)))


def read_series(paths: Sequence[Path], accepts: Accepts | None = None) -> Volume:
    """Read files like the host and return the first volume for a model with this ``accepts``.

    Raises UnreadableFile and UnsupportedInput.
    """
    series = gather([read_instance(path) for path in paths])
    grid = plan(series, accepts or Accepts())[0]
    return fill(grid, np.empty(grid.shape, grid.dtype))
