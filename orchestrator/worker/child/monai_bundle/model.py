"""Runs the transforms, network and inferer of a MONAI bundle as a model, as its model.toml says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.domain.errors import InputFault
from orchestrator.domain.finite import check_finite
from orchestrator.sdk import Result, UnsupportedInput, Volume
from orchestrator.worker.child.decision import (
    Mask,
    Recipe,
    Scores,
    build_maps,
    build_segments,
    decide,
    measure,
    select_maps,
)
from orchestrator.worker.child.monai_bundle.finite import check_steps, check_tensor, run_checked
from orchestrator.worker.child.monai_bundle.folder import BundleFolder, build_part, class_name, components
from orchestrator.worker.child.monai_bundle.space import to_tensor, to_volume_grid
from orchestrator.worker.child.runtimes import require
from orchestrator.worker.child.runtimes.torch_modules import usable_device


class Bundle:
    """Implements sdk.Model; ``preprocessing``, ``inferer`` and ``postprocessing`` are keys by MONAI's convention."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        self.name: str = recipe["name"]
        self.version: str = recipe["version"]
        self._recipe = recipe
        self._place = folder / recipe["bundle"]["path"]
        self.device = self.provider = ""

    def load(self, weights: Path | None, device: str) -> None:  # noqa: ARG002 - a bundle contains its weights
        """Load the parts of the bundle.

        Raises EnvironmentMissing, ManifestError.
        """
        for package in ("torch", "monai", "nibabel"):
            require(package, "monai")
        settings = self._recipe["bundle"]
        folder = BundleFolder(self._place, settings["sha256"])
        self.device = usable_device(device)
        configuration = folder.configuration(self.device)
        self._input, self._output = folder.tensor("inputs", "image"), folder.tensor("outputs", "pred")
        self._network = folder.network(configuration, settings["weights"], self.device)
        self._channel_first = any(
            step.get("ensure_channel_first") is True
            for step in components(configuration.get())
            if class_name(step).startswith("LoadImage")
        )
        self._preprocessing = build_part(configuration, "preprocessing")
        self._inferer = build_part(configuration, "inferer")
        self._postprocessing = check_steps(build_part(configuration, "postprocessing"))

    def network(self) -> dict[str, Any]:
        """Return the signature from the bundle's metadata, for the host to compare with the manifest."""
        self.load(None, "cpu")
        return {
            "axes": 3,
            "input_channels": self._input.get("num_channels"),
            "channels": self._output.get("num_channels"),
            "scores": False,
            "dimensions": [None, None, None],
            "outputs": {},
        }

    def predict(self, volume: Volume) -> Result:
        """Return the segments and maps of the manifest.

        Raises UnsupportedInput for images without a place in the patient.
        """
        if volume.affine is None:
            raise UnsupportedInput(InputFault.NO_GEOMETRY, "a MONAI bundle needs images with a place in the patient")
        item = self._preprocessing({"image": to_tensor(volume, channel_first=self._channel_first)})
        shape = tuple(item["image"].shape[:0:-1])
        output = self._infer(item)["pred"]
        masks = self._masks(to_volume_grid(output, volume)) if self._recipe["segment"] else []
        segments = build_segments(self._recipe, masks)
        values = self._values(to_volume_grid(output, volume, interpolate=True)) if self._recipe["map"] else []
        notes = {"Model grid": " x ".join(map(str, shape))} if sorted(shape) != sorted(volume.shape) else {}
        measurements = list(measure(self._recipe, segments, volume))
        maps = build_maps(self._recipe, values)
        return Result(segments=segments, measurements=measurements, notes=notes, maps=maps)

    def _infer(self, item: dict[str, Any]) -> Any:
        """Return the postprocessed output of the network; the steps are those of MONAI's evaluator.

        Raises InvalidResult for numbers that are not finite.
        """
        torch, data = require("torch", "monai"), require("monai.data", "monai")
        batch = data.list_data_collate([item])
        tensor = batch["image"].to(self.device)
        with torch.no_grad():
            check_tensor(tensor, "the input of the network", "check the bundle's preprocessing and the images")
            raw = self._inferer(tensor, self._network)
            check_tensor(raw, "output 'pred'")
            batch["pred"] = _copy_position(raw, tensor)
            (output,) = data.decollate_batch(batch)
            return run_checked(self._postprocessing, output)

    def _masks(self, scores: Scores) -> list[Mask]:
        """Return a mask for each segment, from its channel or from its value in a label map.

        Raises InvalidResult for numbers that are not finite.
        """
        check_finite(scores, "the postprocessed output of the bundle")
        specs = self._recipe["segment"]
        channels = self._output.get("num_channels") or 1 + max(segment["channel"] for segment in specs)
        if len(scores) == 1 and channels > 1:
            return [scores[0] == segment["channel"] for segment in specs]
        _check_channels(specs, scores)
        return list(decide(self._recipe, scores))

    def _values(self, scores: Scores) -> list[Scores]:
        """Return the values of each map; fails if the postprocessing leaves only a label map."""
        _check_channels(self._recipe["map"], scores)
        return list(select_maps(self._recipe, scores))


def _check_channels(specs: Sequence[Mapping[str, Any]], scores: Scores) -> None:
    if len(scores) <= max(each["channel"] for each in specs):
        raise ValueError(f"the bundle's postprocessing returns {len(scores)} channels, but model.toml names more")


def _copy_position(output: Any, tensor: Any) -> Any:
    """Return the output with the position of its input, which a TorchScript network does not pass on.

    Raises ValueError if output and input have different grids.
    """
    if output.shape[2:] != tensor.shape[2:]:
        sizes = f"{np.array(output.shape[2:])} voxels for an input of {np.array(tensor.shape[2:])}"
        raise ValueError(f"the network returned {sizes}")
    convert = require("monai.utils", "monai").convert_to_dst_type
    return convert(output, tensor, dtype=output.dtype)[0]
