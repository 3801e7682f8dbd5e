"""Bone on CT by a threshold: an honest example and a check of the whole path, no diagnostic device."""

from typing import ClassVar

from orchestrator.sdk import Accepts, Empty, Intended, Result, Segment, Volume, codes, hookimpl

THRESHOLD_HU = 300


class BoneVolume:
    """Marks all voxels above 300 HU; metal, contrast medium and calcification are counted as well."""

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
        """Return one segment, all that is denser than the threshold."""
        bone = volume.voxels > THRESHOLD_HU
        return Result(segments=[Segment("Bone", bone, codes["bone"])])


@hookimpl
def register_models(register):
    """Offer the model to the host."""
    register(BoneVolume())
