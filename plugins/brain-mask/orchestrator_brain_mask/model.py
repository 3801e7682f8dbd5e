"""The model brain-mask: its interface to the host."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.sdk import Measurement, Register, Result, Segment, UnsupportedInput, Volume, codes, hookimpl

if TYPE_CHECKING:
    from orchestrator_brain_mask.segmentation import BrainNetwork

METHOD = "brain mask with the CSF it encloses x voxel volume"


class BrainMask:
    """Segments the brain on T1-weighted MR of an adult head and states the intracranial volume."""

    name = "brain-mask"
    version = "1.0.0"

    _coarse: BrainNetwork
    _fine: BrainNetwork

    def load(self, weights: Path, device: str) -> None:
        """Load both networks from the folder of the converted weights."""
        from orchestrator_brain_mask.segmentation import OnnxBrainNetwork

        self._coarse = OnnxBrainNetwork(weights / "coarse.onnx", device)
        self._fine = fine = OnnxBrainNetwork(weights / "fine.onnx", device)
        self.device = fine.device

    def predict(self, volume: Volume) -> Result:
        """Return the segment Brain and the intracranial volume in ml.

        Raises UnsupportedInput where the images are not a T1-weighted MR of a whole head.
        """
        from orchestrator_brain_mask.grid import head_axes
        from orchestrator_brain_mask.segmentation import find_brain
        from orchestrator_brain_mask.suitability import check_brain, check_images

        if volume.affine is None or volume.voxel_ml is None:
            raise UnsupportedInput("the images have no position and orientation in the patient, which this model needs")
        axes = head_axes(volume.affine, volume.shape)
        check_images(volume, axes)
        brain = find_brain(volume.voxels, axes, self._coarse, self._fine)
        check_brain(brain, volume, axes)
        ml = float(brain.mask.sum()) * volume.voxel_ml
        return Result(
            segments=[Segment("Brain", brain.mask, codes["brain"], colour=(238, 174, 128))],
            measurements=[Measurement(codes["intracranial volume"], ml, "ml", segment="Brain", method=METHOD)],
        )


@hookimpl
def register_models(register: Register) -> None:
    """Register the model with the host."""
    register(BrainMask(), manifest=Path(__file__).with_name("model.toml"))
