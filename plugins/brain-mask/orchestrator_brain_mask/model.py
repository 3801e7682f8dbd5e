"""The model brain-mask as the host sees it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.sdk import Measurement, Register, Result, Segment, UnsupportedInput, Volume, codes, hookimpl

if TYPE_CHECKING:
    from orchestrator_brain_mask.segmentation import Network

METHOD = "brain mask with the CSF it encloses x voxel volume"


class BrainMask:
    """Segments the brain on T1-weighted MR of an adult head and states the intracranial volume."""

    name = "brain-mask"
    version = "1.0.0"

    _coarse: Network
    _fine: Network

    def load(self, weights: Path, device: str) -> None:
        """Load both networks from the folder of the converted weights."""
        from orchestrator_brain_mask.segmentation import OnnxNetwork

        self._coarse = OnnxNetwork(weights / "coarse.onnx", device)
        self._fine = fine = OnnxNetwork(weights / "fine.onnx", device)
        self.device = fine.device

    def predict(self, volume: Volume) -> Result:
        """Return the segment Brain and the intracranial volume in ml.

        Raises UnsupportedInput for what is not a whole head on T1-weighted MR.
        """
        from orchestrator_brain_mask.grid import frame_of
        from orchestrator_brain_mask.segmentation import find_brain
        from orchestrator_brain_mask.suitability import check_brain, check_images

        if volume.affine is None or volume.voxel_ml is None:
            raise UnsupportedInput("the images have no place in the patient")
        frame = frame_of(volume.affine, volume.shape)
        check_images(volume, frame)
        brain = find_brain(volume.voxels, frame, self._coarse, self._fine)
        check_brain(brain, volume, frame)
        ml = float(brain.mask.sum()) * volume.voxel_ml
        return Result(
            segments=[Segment("Brain", brain.mask, codes["brain"], colour=(238, 174, 128))],
            measurements=[Measurement(codes["intracranial volume"], ml, "ml", segment="Brain", method=METHOD)],
        )


@hookimpl
def register_models(register: Register) -> None:
    """Offer the model to the host."""
    register(BrainMask(), manifest=Path(__file__).with_name("model.toml"))
