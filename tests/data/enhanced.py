"""Enhanced multi-frame CT and MR of the same phantom, in any encoding and with any fault."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydicom import Dataset

from orchestrator.testing import Phantom, encode, enhanced
from tests.data.codecs import ENCODERS, compress

Edit = Callable[[Dataset], None]


def enhanced_ct(
    folder: Path, *, edit: Edit | None = None, frame_order: Sequence[int] | None = None, **parameters: Any
) -> Path:
    """Write one Enhanced CT object and return its path; parameters are Phantom's."""
    return _write(folder, Phantom(**({"modality": "CT", "intercept": -1024.0} | parameters)), edit, frame_order)


def enhanced_mr(
    folder: Path, *, edit: Edit | None = None, frame_order: Sequence[int] | None = None, **parameters: Any
) -> Path:
    """Write one Enhanced MR object, with a Pixel Value Transformation in each frame, and return its path."""
    scaled = {"modality": "MR", "slope": 0.5, "intercept": -20.0, "signed": False}
    return _write(folder, Phantom(**(scaled | parameters)), edit, frame_order)


def _write(folder: Path, phantom: Phantom, edit: Edit | None, frame_order: Sequence[int] | None) -> Path:
    dataset = enhanced(phantom, frame_order)
    if edit is not None:
        edit(dataset)
    syntax = phantom.transfer_syntax
    dataset = compress(dataset, syntax) if syntax in ENCODERS else encode(dataset, syntax)
    folder.mkdir(parents=True, exist_ok=True)
    dataset.save_as(folder / "enhanced.dcm", enforce_file_format=True)
    return folder / "enhanced.dcm"
