"""A bare ONNX network made a model by its model.toml: prepare, run window by window, decide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from orchestrator.sdk import Code, Finding, Measurement, Presence, Result, Segment, Volume, codes
from orchestrator.worker.child.model_grid import ModelGrid, Three, windows
from orchestrator.worker.child.preparation import Preparation

Scores = npt.NDArray[np.float32]
"""(channel, *network axes), or (channel,) from a network that classifies."""


class Network:
    """Implements sdk.Model for a recipe, the values of a checked model.toml."""

    def __init__(self, recipe: Mapping[str, Any], folder: Path) -> None:
        self.name: str = recipe["name"]
        self.version: str = recipe["version"]
        self._recipe = recipe
        self._folder = folder
        self._session: Any = None

    def load(self, weights: Path | None, device: str) -> None:  # noqa: ARG002 - the contract's; cpu in this version
        """Load the network from its own folder or from the one of its pulled weights."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # same speed, a tenth less CPU
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(self._file(weights)), options, providers=["CPUExecutionProvider"]
        )
        self._read_network()

    def _file(self, weights: Path | None) -> Path:
        declared = self._recipe["weights"]
        if not declared:
            return self._folder / str(self._recipe["file"])
        first = declared[0]
        name = self._recipe["file"] or first["file"] or Path(first["path"]).name
        return (weights or self._folder) / name

    def _read_network(self) -> None:
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        wanted = self._recipe["output"]["name"] or outputs[0].name
        named = [output for output in outputs if output.name == wanted]
        if len(inputs) != 1 or len(inputs[0].shape) not in (4, 5):
            raise ValueError("expected a network with one input of 4 axes (N, C, row, column) or 5 (N, C, and three)")
        if not named:
            raise ValueError(f"the network has no output {wanted!r}; it has {[output.name for output in outputs]}")
        self._input, self._output = inputs[0], named[0]
        self._plane = len(inputs[0].shape) == 4
        self._scores = len(named[0].shape) == 2

    def network(self) -> dict[str, Any] | None:
        """Return what the host compares with the manifest, None while the weights are not pulled."""
        if not self._file(None).is_file():
            return None
        self.load(None, "cpu")
        _, input_channels, *dimensions = self._input.shape
        return {
            "axes": len(dimensions),
            "input_channels": _fixed(input_channels),
            "channels": _fixed(self._output.shape[1]),
            "scores": self._scores,
            "dimensions": [_fixed(dimension) for dimension in dimensions],
        }

    def predict(self, volume: Volume) -> Result:
        """Return the segments or findings that the manifest names."""
        wanted = self._recipe["input"]
        grid = ModelGrid.of(volume, wanted["orientation"], wanted["spacing"], wanted["size"])
        source = grid.forward(volume.voxels)
        prepare = Preparation(wanted, source)
        notes = {"Model grid": " x ".join(map(str, grid.shape))} if grid.resampled else {}
        if self._recipe["finding"]:
            return Result(findings=self._findings(source, prepare), notes=notes)
        masks = self._masks(source, prepare, grid)
        segments = [self._segment(told, mask) for told, mask in zip(self._recipe["segment"], masks, strict=True)]
        return Result(segments=segments, measurements=list(self._measured(segments, volume)), notes=notes)

    def _findings(self, source: npt.NDArray[Any], prepare: Preparation) -> list[Finding]:
        """Return one finding for each that the manifest names; the score is the highest of all windows."""
        scores = np.max([self._run(source[(..., *window)], prepare) for window in self._windows(source)], axis=0)
        return [
            Finding(
                name=Code(**told["name"]),
                presence=Presence.PRESENT if scores[told["channel"]] >= told["threshold"] else Presence.ABSENT,
                score=float(scores[told["channel"]]),
                site=_code(told["site"]),
                laterality=_code(told["laterality"]),
            )
            for told in self._recipe["finding"]
        ]

    def _masks(self, source: npt.NDArray[Any], prepare: Preparation, grid: ModelGrid) -> list[npt.NDArray[Any]]:
        """Return a mask for each segment, on the volume's own grid.

        Scores are taken back to that grid before they are decided on: a resampled mask loses thin objects.
        """
        if grid.resampled or self._recipe["input"]["overlap"]:
            scores = self._blended(source, prepare)
            masks = list(self._decided(np.stack([grid.back(channel) for channel in scores])))
        else:
            decided = np.zeros((len(self._recipe["segment"]), *source.shape[1:]), np.uint8)
            for window in self._windows(source):
                decided[(slice(None), *window)] = self._decided(self._run(source[(..., *window)], prepare))
            masks = [grid.back(mask) for mask in decided]
        return [_largest(mask) if self._recipe["output"]["largest_component"] else mask for mask in masks]

    def _blended(self, source: npt.NDArray[Any], prepare: Preparation) -> Scores:
        """Return the mean of overlapping windows, each weighted less towards its border."""
        total: Scores | None = None
        weights = np.zeros(source.shape[1:], np.float32)
        for window in self._windows(source):
            scores = self._run(source[(..., *window)], prepare)
            importance = _importance(scores.shape[1:])
            if total is None:
                total = np.zeros((len(scores), *source.shape[1:]), np.float32)
            total[(slice(None), *window)] += scores * importance
            weights[window] += importance
        assert total is not None
        return total / weights

    def _windows(self, source: npt.NDArray[Any]) -> Iterator[tuple[slice, slice, slice]]:
        one, two, three = source.shape[1:]
        return windows((one, two, three), self._patch((one, two, three)), self._recipe["input"]["overlap"])

    def _patch(self, shape: Three) -> Three:
        """Return the window's size: the manifest's, else the network's own, else the whole axis."""
        given = self._recipe["input"]["patch"] or [_fixed(dimension) for dimension in self._input.shape[2:]]
        filled = [*([1] if self._plane else []), *given]
        one, two, three = (size or count for size, count in zip(filled, shape, strict=True))
        return one, two, three

    def _run(self, window: npt.NDArray[Any], prepare: Preparation) -> Scores:
        """Return the activated output for one window; what the window lacks to the patch is filled from its edge."""
        tensor = prepare(window)
        missing = [
            max(0, size - have) for size, have in zip(self._patch(window.shape[1:]), window.shape[1:], strict=True)
        ]
        if any(missing):
            tensor = np.pad(tensor, [(0, 0), *((0, count) for count in missing)], mode="edge")
        fed = tensor[:, 0] if self._plane else tensor
        scores: Scores = self._session.run([self._output.name], {self._input.name: fed[None]})[0][0]
        scores = _activated(scores, self._recipe["output"]["activation"])
        if self._scores:
            return scores
        scores = scores[:, None] if self._plane else scores
        if scores.shape[1:] != tensor.shape[1:]:
            raise ValueError(f"the network answers with {scores.shape[1:]} voxels to {tensor.shape[1:]}")
        return scores[(slice(None), *(slice(0, count) for count in window.shape[1:]))]

    def _decided(self, scores: Scores) -> npt.NDArray[np.uint8]:
        """Return (segment, *axes) of 0 and 1."""
        channels = [told["channel"] for told in self._recipe["segment"]]
        output = self._recipe["output"]
        if output["activation"] == "argmax":
            best = scores.argmax(axis=0)
            return np.stack([best == channel for channel in channels]).view(np.uint8)
        return np.asarray(scores[channels] >= output["threshold"]).view(np.uint8)

    def _segment(self, told: Mapping[str, Any], mask: npt.NDArray[Any]) -> Segment:
        return Segment(
            label=told["label"],
            mask=mask,
            type=Code(**told["type"]),
            category=Code(**told["category"]),
            anatomy=_code(told["anatomy"]),
            laterality=_code(told["laterality"]),
            colour=None if told["colour"] is None else tuple(told["colour"]),
        )

    def _measured(self, segments: list[Segment], volume: Volume) -> Iterator[Measurement]:
        masks = {segment.label: segment.mask for segment in segments}
        for told in self._recipe["measurement"]:
            inside = volume.voxels[masks[told["segment"]].astype(bool)]
            if inside.size and told["name"] != "volume":
                value = {"mean": inside.mean, "maximum": inside.max, "minimum": inside.min}[told["name"]]()
                yield Measurement(codes[told["name"]], float(value), volume.unit, told["segment"])


def _activated(scores: Scores, activation: str) -> Scores:
    if activation == "sigmoid":
        return np.asarray(1 / (1 + np.exp(-scores)), dtype=np.float32)
    if activation == "softmax":
        powers = np.exp(scores - scores.max(axis=0))
        return np.asarray(powers / powers.sum(axis=0), dtype=np.float32)
    return scores


def _importance(shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Return weights that fall from the middle to the border, never to nothing."""
    falls = [np.exp(-0.5 * (np.linspace(-1, 1, count) * 2) ** 2) if count > 1 else np.ones(1) for count in shape]
    return np.asarray(np.einsum("i,j,k->ijk", *falls), dtype=np.float32)


def _largest(mask: npt.NDArray[Any]) -> npt.NDArray[Any]:
    from scipy import ndimage

    parts, count = ndimage.label(mask)
    if count < 2:
        return mask
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return np.asarray(parts == sizes.argmax())


def _fixed(dimension: Any) -> int | None:
    return dimension if isinstance(dimension, int) and dimension > 0 else None


def _code(told: Mapping[str, str] | None) -> Code | None:
    return None if told is None else Code(**told)
