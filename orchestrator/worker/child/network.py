"""A bare network made a model by its model.toml: prepare, run window by window, decide."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from orchestrator.domain.errors import ManifestError
from orchestrator.sdk import Finding, Result, Volume
from orchestrator.worker.child import detection
from orchestrator.worker.child.classification import findings
from orchestrator.worker.child.decision import Recipe, Scores, activated, decided, maps, measured, segments, valued
from orchestrator.worker.child.model_grid import ModelGrid, Place, Three, windows
from orchestrator.worker.child.preparation import Preparation
from orchestrator.worker.child.runtimes import LoadedNetwork, load_network, wanted_outputs
from orchestrator.worker.protocol.channel import Channel


class Network:
    """Implements sdk.Model for a recipe and the file of its network."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        self.name: str = recipe["name"]
        self.version: str = recipe["version"]
        self._recipe = recipe
        self._folder = folder
        self._loaded: LoadedNetwork | None = None
        self._notes: dict[str, str] = {}
        self.device = self.provider = ""

    def load(self, weights: Path | None, device: str) -> None:
        """Load the network from its own folder or from the one of its pulled weights.

        Raises ManifestError where it lacks an output that the manifest names, and what its runtime raises.
        """
        loaded = load_network(self._recipe, self._folder, self._file(weights), device)
        if missing := loaded.signature.missing(wanted_outputs(self._recipe)):
            raise ManifestError(f"the network has no output {missing[0]!r}, only {list(loaded.signature.outputs)}")
        self._loaded, self.device, self.provider = loaded, loaded.device, loaded.provider

    def connect(self, served: Mapping[str, Any], host: Channel) -> None:
        """Take the network from a server, which the host asks for it; ``served``: what the host learned there."""
        from orchestrator.worker.child.runtimes.remote import RemoteNetwork

        self._loaded = RemoteNetwork(served["signature"], host)
        self._notes = {"Model server": served["server"]}

    def _file(self, weights: Path | None) -> Path:
        declared = self._recipe["weights"]
        if not declared:
            return self._folder / str(self._recipe["file"])
        first = declared[0]
        name = self._recipe["file"] or first["file"] or Path(first["path"]).name
        return (weights or self._folder) / name

    def network(self) -> dict[str, Any] | None:
        """Return what the host compares with the manifest, None while the weights are not pulled or lie elsewhere."""
        if self._recipe["remote"] or not self._file(None).is_file():
            return None
        return load_network(self._recipe, self._folder, self._file(None), "cpu").signature.report()

    @property
    def _runs(self) -> LoadedNetwork:
        assert self._loaded is not None, "predict before load"
        return self._loaded

    def predict(self, volume: Volume) -> Result:
        """Return the segments and maps, or the findings, that the manifest names."""
        wanted = self._recipe["input"]
        grid = ModelGrid.of(volume, wanted["orientation"], wanted["spacing"], wanted["size"])
        source = grid.forward(volume.voxels)
        prepare = Preparation(wanted, source)
        notes = self._notes | ({"Model grid": " x ".join(map(str, grid.shape))} if grid.resampled else {})
        if self._recipe["detection"]:
            return Result(findings=self._detected(source, prepare, grid), notes=notes)
        if self._recipe["finding"]:
            return Result(findings=self._findings(source, prepare, grid), notes=notes)
        masks, values = self._drawn(source, prepare, grid)
        found = segments(self._recipe, masks)
        return Result(
            segments=found,
            measurements=list(measured(self._recipe, found, volume)),
            notes=notes,
            maps=maps(self._recipe, values),
        )

    def _findings(self, source: npt.NDArray[Any], prepare: Preparation, grid: ModelGrid) -> list[Finding]:
        """Return one finding for each that the manifest names."""
        image_by_image = self._recipe["output"]["per"] == "image"
        scored: dict[int | None, list[Scores]] = defaultdict(list)
        for window in self._windows(source):
            image = grid.image(window[0].start) if image_by_image else None
            scored[image].append(self._run(self._cut(source, window), prepare))
        return findings(self._recipe, scored)

    def _detected(self, source: npt.NDArray[Any], prepare: Preparation, grid: ModelGrid) -> list[Finding]:
        """Return one finding with its boxes for each that the manifest names."""
        plane = self._runs.signature.plane
        if plane:
            grid.image(0)  # refuses what can be drawn on none of the images before anything is run
        seen = []
        for window in self._windows(source):
            fed = self._fed(self._cut(source, window), prepare)
            seen.append(detection.in_window(self._recipe, self._runs(fed), window, fed.shape[2:]))
        return detection.findings(self._recipe, seen, grid, plane=plane)

    def _drawn(
        self, source: npt.NDArray[Any], prepare: Preparation, grid: ModelGrid
    ) -> tuple[list[npt.NDArray[Any]], list[npt.NDArray[Any]]]:
        """Return a mask for each segment and the values of each map, on the volume's own grid.

        Scores are taken back to that grid before they are decided on: a resampled mask loses thin objects.
        """
        if grid.resampled or self._recipe["input"]["overlap"]:
            scores = np.stack([grid.back(channel) for channel in self._blended(source, prepare)])
            return list(decided(self._recipe, scores)), list(valued(self._recipe, scores))
        masks = np.zeros((len(self._recipe["segment"]), *source.shape[1:]), np.uint8)
        values = np.zeros((len(self._recipe["map"]), *source.shape[1:]), np.float32)
        for window in self._windows(source):
            scores = self._run(self._cut(source, window), prepare)
            masks[(slice(None), *window)] = decided(self._recipe, scores)
            values[(slice(None), *window)] = valued(self._recipe, scores)
        return [grid.back(mask) for mask in masks], [grid.back(each) for each in values]

    def _blended(self, source: npt.NDArray[Any], prepare: Preparation) -> Scores:
        """Return the mean of overlapping windows, each weighted less towards its border."""
        total: Scores | None = None
        weights = np.zeros(source.shape[1:], np.float32)
        for window in self._windows(source):
            scores = self._run(self._cut(source, window), prepare)
            importance = _importance(scores.shape[1:])
            if total is None:
                total = np.zeros((len(scores), *source.shape[1:]), np.float32)
            total[(slice(None), *window)] += scores * importance
            weights[window] += importance
        assert total is not None
        return total / weights

    def _cut(self, source: npt.NDArray[Any], window: Place) -> npt.NDArray[Any]:
        """Return (channel, *axes) of a window: with its neighbours as channels, the first one first, where asked for.

        A slice that would lie beyond the end is the one at the end.
        """
        beside, (across, *within) = self._recipe["input"]["neighbours"], window
        if not beside:
            return source[(slice(None), *window)]
        wanted = np.arange(across.start - beside, across.start + beside + 1).clip(0, source.shape[1] - 1)
        channels: npt.NDArray[Any] = source[0][(wanted, *within)]
        return channels[:, None]

    def _windows(self, source: npt.NDArray[Any]) -> Iterator[Place]:
        one, two, three = source.shape[1:]
        return windows((one, two, three), self._patch((one, two, three)), self._recipe["input"]["overlap"])

    def _patch(self, shape: Three) -> Three:
        """Return the window's size: the manifest's, else the network's own, else the whole axis."""
        signature = self._runs.signature
        given = self._recipe["input"]["patch"] or signature.dimensions
        filled = [*([1] if signature.plane else []), *given]
        one, two, three = (size or count for size, count in zip(filled, shape, strict=True))
        return one, two, three

    def _fed(self, window: npt.NDArray[Any], prepare: Preparation) -> npt.NDArray[np.float32]:
        """Return the network's input for one window; what the window lacks to the patch is filled from its edge."""
        tensor = prepare(window)
        missing = [
            max(0, size - have) for size, have in zip(self._patch(window.shape[1:]), window.shape[1:], strict=True)
        ]
        if any(missing):
            tensor = np.pad(tensor, [(0, 0), *((0, count) for count in missing)], mode="edge")
        return (tensor[:, 0] if self._runs.signature.plane else tensor)[None]

    def _run(self, window: npt.NDArray[Any], prepare: Preparation) -> Scores:
        """Return the activated output for one window."""
        fed, signature = self._fed(window, prepare), self._runs.signature
        (given,) = self._runs(fed)
        scores = activated(given[0], self._recipe["output"]["activation"])
        if signature.scores:
            return scores
        if scores.shape[1:] != fed.shape[2:]:
            raise ValueError(f"the network answers with {scores.shape[1:]} voxels to {fed.shape[2:]}")
        scores = scores[:, None] if signature.plane else scores
        return scores[(slice(None), *(slice(0, count) for count in window.shape[1:]))]


def _importance(shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Return weights that fall from the middle to the border, never to nothing."""
    falls = [np.exp(-0.5 * (np.linspace(-1, 1, count) * 2) ** 2) if count > 1 else np.ones(1) for count in shape]
    return np.asarray(np.einsum("i,j,k->ijk", *falls), dtype=np.float32)
