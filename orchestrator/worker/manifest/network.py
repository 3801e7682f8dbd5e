"""Compares a network with its model.toml and reports each difference with its line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from orchestrator.domain.errors import ManifestError
from orchestrator.toml import Faults, Key, read
from orchestrator.worker.manifest.file import Fault
from orchestrator.worker.manifest.input import Input
from orchestrator.worker.manifest.output import DetectionOf
from orchestrator.worker.manifest.schema import Manifest
from orchestrator.worker.protocol.result import NetworkReport


def check_network(path: Path, manifest: Manifest, network: NetworkReport) -> None:
    """Return if the network fits the manifest.

    Raises ManifestError.
    """
    faults = Faults(read(path, ManifestError))
    for place, sentence in _network_faults(manifest, network):
        faults.add(place, sentence)
    faults.raise_as(ManifestError)


def _network_faults(manifest: Manifest, network: NetworkReport) -> Iterator[Fault]:
    missing = list(_missing_outputs(manifest, network))
    if missing:
        yield from missing
    elif manifest.detection is not None:
        yield from _detection_faults(manifest, manifest.detection, network)
    else:
        yield from _meaning_faults(manifest, network)
    yield from _input_faults(manifest.input, network)
    yield from _axis_faults(manifest.input, network)


def _missing_outputs(manifest: Manifest, network: NetworkReport) -> Iterator[Fault]:
    names: list[tuple[Key, str | None]] = [(("output", "name"), manifest.output.name)]
    if (spec := manifest.detection) is not None:
        names = [(("detection", key), getattr(spec, key)) for key in ("boxes", "scores", "labels")]
    for key, name in names:
        if name is not None and network.outputs and name not in network.outputs:
            yield key, f"the network has no output {name!r}, only {', '.join(map(repr, network.outputs))}"


def _meaning_faults(manifest: Manifest, network: NetworkReport) -> Iterator[Fault]:
    if network.scores and not manifest.finding:
        yield (), "the network returns scores; name them with [[finding]]"
    if manifest.finding and not network.scores:
        yield ("finding", 0), "the network returns maps, not scores; name them with [[segment]] or [[map]]"
    if manifest.output.per == "image" and network.axes != 2:
        yield ("output", "per"), 'per = "image" is for a network of slices; this one takes volumes'
    yield from _channel_faults(manifest, network.channels)


def _detection_faults(manifest: Manifest, spec: DetectionOf, network: NetworkReport) -> Iterator[Fault]:
    if spec.axes != network.axes:
        takes = "slices" if network.axes == 2 else "volumes"
        yield ("detection", "order"), f"{spec.order!r} has {spec.axes} axes, the network takes {takes}"
        return
    boxes, numbers = network.outputs[spec.boxes], 2 * spec.axes
    if len(boxes) not in (0, 2, 3):
        yield ("detection", "boxes"), f"output {spec.boxes!r} has {len(boxes)} axes, expected (boxes, numbers)"
    elif spec.scores is None:
        length = boxes[-1 if spec.layout == "rows" else -2] if boxes else None
        if length is not None and length <= numbers:
            yield (
                ("detection", "boxes"),
                f"output {spec.boxes!r} has {length} numbers a box, expected over {numbers}",
            )
        yield from _channel_faults(manifest, None if length is None else length - numbers)
    else:
        if boxes and boxes[-1] not in (None, numbers):
            yield (
                ("detection", "boxes"),
                f"output {spec.boxes!r} has {boxes[-1]} numbers a box, expected {numbers}",
            )
        yield from _score_faults(manifest, spec, len(boxes), network.outputs[spec.scores])


def _score_faults(manifest: Manifest, spec: DetectionOf, axes: int, scores: tuple[int | None, ...]) -> Iterator[Fault]:
    """Yield faults of the output of scores: one per box with labels, else one per box or per class."""
    if not (axes and scores):
        return
    by_class = len(scores) == axes
    if len(scores) not in (axes - 1, axes):
        yield (
            ("detection", "scores"),
            f"output {spec.scores!r} has {len(scores)} axes, expected {axes - 1} or {axes}",
        )
    elif spec.labels is None:
        yield from _channel_faults(manifest, scores[-1] if by_class else 1)
    elif by_class and scores[-1] != 1:
        yield ("detection", "labels"), f"output {spec.scores!r} has a score for each class; remove labels"


def _input_faults(input_: Input, network: NetworkReport) -> Iterator[Fault]:
    key = ("input", "neighbours") if input_.neighbours else ("input",)
    if input_.neighbours and network.axes != 2:
        yield key, "neighbours are for a network of slices; this one takes volumes"
    elif network.input_channels not in (None, input_.channels):
        which = f" (a slice and {input_.neighbours} on each side)" if input_.neighbours else ""
        yield key, f"the network takes {network.input_channels} channels, but the input has {input_.channels}{which}"


def _channel_faults(manifest: Manifest, channels: int | None) -> Iterator[Fault]:
    for section in ("segment", "map", "finding"):
        for index, item in enumerate(getattr(manifest, section)):
            if channels is not None and item.channel >= channels:
                known = "channel 0" if channels == 1 else f"channels 0 to {channels - 1}"
                yield (section, index, "channel"), f"the network has no channel {item.channel}, only {known}"


def _axis_faults(input_: Input, network: NetworkReport) -> Iterator[Fault]:
    for key, axes in (("spacing", 3), ("size", network.axes), ("patch", network.axes)):
        value = getattr(input_, key)
        if value is not None and len(value) != axes:
            yield ("input", key), f"{key} has {len(value)} numbers, expected {axes}"
    sizes = [(size, own) for size, own in zip(input_.patch or (), network.dimensions, strict=False) if own]
    if any(size != own for size, own in sizes):
        yield ("input", "patch"), f"the network takes windows of {network.dimensions} only"
