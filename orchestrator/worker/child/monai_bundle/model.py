"""A MONAI bundle made a model by its model.toml: its own transforms, network and inferer between our two grids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.domain.errors import InputFault
from orchestrator.sdk import Result, UnsupportedInput, Volume
from orchestrator.worker.child.decision import Mask, Recipe, Scores, decided, maps, measured, segments, valued
from orchestrator.worker.child.monai_bundle.folder import BundleFolder, components, named, part
from orchestrator.worker.child.monai_bundle.space import image, on_own_grid
from orchestrator.worker.child.runtimes import required
from orchestrator.worker.child.runtimes.torch_modules import usable


class Bundle:
    """Implements sdk.Model; the keys ``preprocessing``, ``inferer``, ``postprocessing`` are MONAI's convention."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        self.name: str = recipe["name"]
        self.version: str = recipe["version"]
        self._recipe = recipe
        self._place = folder / recipe["bundle"]["path"]
        self.device = self.provider = ""

    def load(self, weights: Path | None, device: str) -> None:  # noqa: ARG002 - a bundle brings its own
        """Load the bundle's parts.

        Raises EnvironmentMissing, ManifestError.
        """
        for package in ("torch", "monai", "nibabel"):
            required(package, "monai")
        wanted = self._recipe["bundle"]
        folder = BundleFolder(self._place, wanted["sha256"])
        self.device = usable(device)
        configuration = folder.configuration(self.device)
        self._takes, self._gives = folder.tensor("inputs", "image"), folder.tensor("outputs", "pred")
        self._network = folder.network(configuration, wanted["weights"], self.device)
        self._channel_first = any(
            step.get("ensure_channel_first") is True
            for step in components(configuration.get())
            if named(step).startswith("LoadImage")
        )
        self._preprocessing = part(configuration, "preprocessing")
        self._inferer = part(configuration, "inferer")
        self._postprocessing = part(configuration, "postprocessing")

    def network(self) -> dict[str, Any]:
        """Return what the host compares with the manifest; the bundle's metadata says it."""
        self.load(None, "cpu")
        return {
            "axes": 3,
            "input_channels": self._takes.get("num_channels"),
            "channels": self._gives.get("num_channels"),
            "scores": False,
            "dimensions": [None, None, None],
            "outputs": {},
        }

    def predict(self, volume: Volume) -> Result:
        """Return the segments and maps that the manifest names.

        Raises UnsupportedInput for images without a place in the patient.
        """
        if volume.affine is None:
            raise UnsupportedInput(InputFault.NO_GEOMETRY, "a MONAI bundle needs images with a place in the patient")
        prepared = self._preprocessing({"image": image(volume, channel_first=self._channel_first)})
        shape = tuple(prepared["image"].shape[:0:-1])
        predicted = self._inferred(prepared)["pred"]
        found = segments(self._recipe, self._masks(on_own_grid(predicted, volume))) if self._recipe["segment"] else []
        values = self._values(on_own_grid(predicted, volume, between=True)) if self._recipe["map"] else []
        notes = {"Model grid": " x ".join(map(str, shape))} if sorted(shape) != sorted(volume.shape) else {}
        numbers = list(measured(self._recipe, found, volume))
        return Result(segments=found, measurements=numbers, notes=notes, maps=maps(self._recipe, values))

    def _inferred(self, prepared: dict[str, Any]) -> Any:
        """Return what the postprocessing makes of the network's output, step for step as MONAI's evaluator does."""
        torch, data = required("torch", "monai"), required("monai.data", "monai")
        batch = data.list_data_collate([prepared])
        given = batch["image"].to(self.device)
        with torch.no_grad():
            batch["pred"] = _placed(self._inferer(given, self._network), given)
            (item,) = data.decollate_batch(batch)
            return self._postprocessing(item)

    def _masks(self, scores: Scores) -> list[Mask]:
        """Return a mask for each segment: of its channel, or of its value in a label map."""
        told = self._recipe["segment"]
        channels = self._gives.get("num_channels") or 1 + max(segment["channel"] for segment in told)
        if len(scores) == 1 and channels > 1:
            return [scores[0] == segment["channel"] for segment in told]
        _check_channels(told, scores)
        return list(decided(self._recipe, scores))

    def _values(self, scores: Scores) -> list[Scores]:
        """Return the values of each map; a label map, which is what is left of the scores by then, has none."""
        _check_channels(self._recipe["map"], scores)
        return list(valued(self._recipe, scores))


def _check_channels(told: Sequence[Mapping[str, Any]], scores: Scores) -> None:
    if len(scores) <= max(each["channel"] for each in told):
        raise ValueError(f"the bundle's postprocessing gives {len(scores)} channels, model.toml names more")


def _placed(predicted: Any, given: Any) -> Any:
    """Return the prediction with the place of its input, which a TorchScript network does not hand on.

    Raises ValueError where it lies on another grid than the input.
    """
    if predicted.shape[2:] != given.shape[2:]:
        raise ValueError(f"the network answers with {np.array(predicted.shape[2:])} to {np.array(given.shape[2:])}")
    convert = required("monai.utils", "monai").convert_to_dst_type
    return convert(predicted, given, dtype=predicted.dtype)[0]
