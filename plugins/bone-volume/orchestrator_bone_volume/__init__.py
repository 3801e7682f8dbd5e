"""The model bone-volume: bone on CT by a threshold. An example and a test of the whole path, not for diagnosis."""

from typing import ClassVar

from orchestrator.sdk import Accepts, Empty, Intended, Result, Segment, Volume, codes, hookimpl

THRESHOLD_HU = 300


class BoneVolume:
    """Segments all voxels above 300 HU, including metal, contrast medium and calcification."""

    name = "bone-volume"
    version = "1.0.0"
    description = "Marks voxels above 300 HU on CT as bone"
    manufacturer = "radiology-orchestrator"
    licence = "Apache-2.0"
    intended = Intended(modality=("CT",))
    accepts = Accepts()
    empty = Empty.NEGATIVE
    parameters: ClassVar = {"threshold": f"{THRESHOLD_HU} HU"}

    def predict(self, volume: Volume) -> Result:
        """Return one segment with all voxels above the threshold."""
        bone = volume.voxels > THRESHOLD_HU
        return Result(segments=[Segment("Bone", bone, codes["bone"])])


@hookimpl
def register_models(register):
    """Register the model with the host."""
    register(BoneVolume())
