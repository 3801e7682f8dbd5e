"""Runs a network without Python code as a model, as its model.toml says: prepares, runs each window, decides."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from orchestrator.domain.errors import ManifestError
from orchestrator.domain.finite import INPUT_ADVICE, check_finite
from orchestrator.sdk import Finding, Result, Volume
from orchestrator.worker.child import detection
from orchestrator.worker.child.classification import build_findings
from orchestrator.worker.child.decision import (
    Recipe,
    Scores,
    activate,
    build_maps,
    build_segments,
    decide,
    measure,
    select_maps,
)
from orchestrator.worker.child.model_grid import GridWindow, ModelGrid, Three, windows
from orchestrator.worker.child.preparation import Preparation
from orchestrator.worker.child.runtimes import LoadedNetwork, load_network, output_names
from orchestrator.worker.protocol.channel import Channel


class Network:
    """Implements sdk.Model for a model.toml and the file of its network."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        self.name: str = recipe["name"]
        self.version: str = recipe["version"]
        self._recipe = recipe
        self._folder = folder
        self._network: LoadedNetwork | None = None
        self._notes: dict[str, str] = {}
        self.device = self.provider = ""

    def load(self, weights: Path | None, device: str) -> None:
        """Load the network from the model folder or from its pulled weights.

        Raises ManifestError for a missing output, and errors of the runtime.
        """
        network = load_network(self._recipe, self._folder, self._file(weights), device)
        if missing := network.signature.missing(output_names(self._recipe)):
            raise ManifestError(f"the network has no output {missing[0]!r}, only {list(network.signature.outputs)}")
        self._network, self.device, self.provider = network, network.device, network.provider

    def connect(self, server: Mapping[str, Any], host: Channel) -> None:
        """Use a network on a server through the host; ``server``: name of the server and signature of the network."""
        from orchestrator.worker.child.runtimes.remote import RemoteNetwork

        self._network = RemoteNetwork(server["signature"], host)
        self._notes = {"Model server": server["server"]}

    def _file(self, weights: Path | None) -> Path:
        entries = self._recipe["weights"]
        if not entries:
            return self._folder / str(self._recipe["file"])
        first = entries[0]
        name = self._recipe["file"] or first["file"] or Path(first["path"]).name
        return (weights or self._folder) / name

    def network(self) -> dict[str, Any] | None:
        """Return the signature, which the host compares with the manifest; None without a file in the model folder."""
        if self._recipe["remote"] or not self._file(None).is_file():
            return None
        return load_network(self._recipe, self._folder, self._file(None), "cpu").signature.report()

    @property
    def _loaded(self) -> LoadedNetwork:
        assert self._network is not None, "predict before load"
        return self._network

    def predict(self, volume: Volume) -> Result:
        """Return the segments and maps, or the findings, of the manifest."""
        settings = self._recipe["input"]
        grid = ModelGrid.of(volume, settings["orientation"], settings["spacing"], settings["size"])
        source = grid.forward(volume.voxels)
        prepare = Preparation(settings, source)
        notes = self._notes | ({"Model grid": " x ".join(map(str, grid.shape))} if grid.resamples else {})
        if self._recipe["detection"]:
            return Result(findings=self._detect(source, prepare, grid), notes=notes)
        if self._recipe["finding"]:
            return Result(findings=self._classify(source, prepare, grid), notes=notes)
        masks, values = self._segment(source, prepare, grid)
        segments = build_segments(self._recipe, masks)
        return Result(
            segments=segments,
            measurements=list(measure(self._recipe, segments, volume)),
            notes=notes,
            maps=build_maps(self._recipe, values),
        )

    def _classify(self, source: npt.NDArray[Any], prepare: Preparation, grid: ModelGrid) -> list[Finding]:
        """Return one finding for each [[finding]] of the manifest."""
        image_by_image = self._recipe["output"]["per"] == "image"
        scores: dict[int | None, list[Scores]] = defaultdict(list)
        for window in self._windows(source):
            image = grid.image(window[0].start) if image_by_image else None
            scores[image].append(self._run(self._cut(source, window), prepare))
        return build_findings(self._recipe, scores)

    def _detect(self, source: npt.NDArray[Any], prepare: Preparation, grid: ModelGrid) -> list[Finding]:
        """Return one finding with its boxes for each [[finding]] of the manifest."""
        plane = self._loaded.signature.plane
        if plane:
            grid.image(0)  # refuses slices that match none of the images, before the network runs
        boxes = []
        for window in self._windows(source):
            tensor = self._tensor(self._cut(source, window), prepare)
            boxes.append(detection.read_window(self._recipe, self._loaded(tensor), window, tensor.shape[2:]))
        return detection.build_findings(self._recipe, boxes, grid, plane=plane)

    def _segment(
        self, source: npt.NDArray[Any], prepare: Preparation, grid: ModelGrid
    ) -> tuple[list[npt.NDArray[Any]], list[npt.NDArray[Any]]]:
        """Return a mask for each segment and the values of each map, on the grid of the volume.

        Scores are mapped to that grid before the decision, since resampling of a mask loses thin objects.
        """
        if grid.resamples or self._recipe["input"]["overlap"]:
            scores = np.stack([grid.back(channel) for channel in self._blend(source, prepare)])
            return list(decide(self._recipe, scores)), list(select_maps(self._recipe, scores))
        masks = np.zeros((len(self._recipe["segment"]), *source.shape[1:]), np.uint8)
        values = np.zeros((len(self._recipe["map"]), *source.shape[1:]), np.float32)
        for window in self._windows(source):
            scores = self._run(self._cut(source, window), prepare)
            masks[(slice(None), *window)] = decide(self._recipe, scores)
            values[(slice(None), *window)] = select_maps(self._recipe, scores)
        return [grid.back(mask) for mask in masks], [grid.back(each) for each in values]

    def _blend(self, source: npt.NDArray[Any], prepare: Preparation) -> Scores:
        """Return the mean of overlapping windows, weighted less towards their borders."""
        total: Scores | None = None
        weights = np.zeros(source.shape[1:], np.float32)
        for window in self._windows(source):
            scores = self._run(self._cut(source, window), prepare)
            importance = _importance(scores.shape[1:])
            if total is None:
                total = np.zeros((len(scores), *source.shape[1:]), np.float32)
            with np.errstate(over="ignore", invalid="ignore"):  # the decision refuses what becomes infinite
                total[(slice(None), *window)] += scores * importance
            weights[window] += importance
        assert total is not None
        return total / weights

    def _cut(self, source: npt.NDArray[Any], window: GridWindow) -> npt.NDArray[Any]:
        """Return (channel, *axes) of a window; with ``neighbours`` the neighbouring slices become channels, in order.

        Beyond the first and last slice, that slice is repeated.
        """
        beside, (across, *within) = self._recipe["input"]["neighbours"], window
        if not beside:
            return source[(slice(None), *window)]
        index = np.arange(across.start - beside, across.start + beside + 1).clip(0, source.shape[1] - 1)
        channels: npt.NDArray[Any] = source[0][(index, *within)]
        return channels[:, None]

    def _windows(self, source: npt.NDArray[Any]) -> Iterator[GridWindow]:
        one, two, three = source.shape[1:]
        return windows((one, two, three), self._patch((one, two, three)), self._recipe["input"]["overlap"])

    def _patch(self, shape: Three) -> Three:
        """Return the window's size: of the manifest, else of the network, else the whole axis."""
        signature = self._loaded.signature
        patch = self._recipe["input"]["patch"] or signature.dimensions
        sizes = [*([1] if signature.plane else []), *patch]
        one, two, three = (size or count for size, count in zip(sizes, shape, strict=True))
        return one, two, three

    def _tensor(self, window: npt.NDArray[Any], prepare: Preparation) -> npt.NDArray[np.float32]:
        """Return the network's input for one window; a window smaller than the patch is padded with its edge values.

        Raises InvalidResult for an input that is not finite.
        """
        tensor = prepare(window)
        check_finite(tensor, "the input of the network", INPUT_ADVICE)
        missing = [
            max(0, size - count) for size, count in zip(self._patch(window.shape[1:]), window.shape[1:], strict=True)
        ]
        if any(missing):
            tensor = np.pad(tensor, [(0, 0), *((0, count) for count in missing)], mode="edge")
        return (tensor[:, 0] if self._loaded.signature.plane else tensor)[None]

    def _run(self, window: npt.NDArray[Any], prepare: Preparation) -> Scores:
        """Return the activated output for one window.

        Raises InvalidResult for an output that is not finite.
        """
        tensor, signature = self._tensor(window, prepare), self._loaded.signature
        (output,) = self._loaded(tensor)
        name = self._recipe["output"]["name"] or next(iter(signature.outputs))
        scores = activate(output[0], self._recipe["output"]["activation"], name)
        if signature.scores:
            return scores
        if scores.shape[1:] != tensor.shape[2:]:
            raise ValueError(f"the network returned {scores.shape[1:]} voxels for an input of {tensor.shape[2:]}")
        scores = scores[:, None] if signature.plane else scores
        return scores[(slice(None), *(slice(0, count) for count in window.shape[1:]))]


def _importance(shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Return weights that decrease from the middle to the border, but never to 0."""
    falls = [np.exp(-0.5 * (np.linspace(-1, 1, count) * 2) ** 2) if count > 1 else np.ones(1) for count in shape]
    return np.asarray(np.einsum("i,j,k->ijk", *falls), dtype=np.float32)
