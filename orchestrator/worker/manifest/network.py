"""Whether a network is the one that its model.toml speaks of: each fault with its line, before anything runs."""

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
    """Return when the network in the file is the one that the manifest speaks of.

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
    asked: list[tuple[Key, str | None]] = [(("output", "name"), manifest.output.name)]
    if (told := manifest.detection) is not None:
        asked = [(("detection", key), getattr(told, key)) for key in ("boxes", "scores", "labels")]
    for key, name in asked:
        if name is not None and network.outputs and name not in network.outputs:
            yield key, f"the network has no output {name!r}, only {', '.join(map(repr, network.outputs))}"


def _meaning_faults(manifest: Manifest, network: NetworkReport) -> Iterator[Fault]:
    if network.scores and not manifest.finding:
        yield (), "the network gives scores: name them with [[finding]]"
    if manifest.finding and not network.scores:
        yield ("finding", 0), "the network gives maps and no scores: name them with [[segment]] or [[map]]"
    if manifest.output.per == "image" and network.axes != 2:
        yield ("output", "per"), 'per = "image" is for a network of slices, this one takes volumes'
    yield from _channel_faults(manifest, network.channels)


def _detection_faults(manifest: Manifest, told: DetectionOf, network: NetworkReport) -> Iterator[Fault]:
    if told.axes != network.axes:
        takes = "slices" if network.axes == 2 else "volumes"
        yield ("detection", "order"), f"{told.order!r} has {told.axes} axes, the network takes {takes}"
        return
    boxes, numbers = network.outputs[told.boxes], 2 * told.axes
    if len(boxes) not in (0, 2, 3):
        yield ("detection", "boxes"), f"output {told.boxes!r} has {len(boxes)} axes, expected (boxes, numbers)"
    elif told.scores is None:
        length = boxes[-1 if told.layout == "rows" else -2] if boxes else None
        if length is not None and length <= numbers:
            yield ("detection", "boxes"), f"output {told.boxes!r} has {length} numbers a box, expected over {numbers}"
        yield from _channel_faults(manifest, None if length is None else length - numbers)
    else:
        if boxes and boxes[-1] not in (None, numbers):
            yield ("detection", "boxes"), f"output {told.boxes!r} has {boxes[-1]} numbers a box, expected {numbers}"
        yield from _score_faults(manifest, told, len(boxes), network.outputs[told.scores])


def _score_faults(manifest: Manifest, told: DetectionOf, axes: int, scores: tuple[int | None, ...]) -> Iterator[Fault]:
    """Yield what is wrong with an output of scores: one a box beside labels, else one a box or one a class."""
    if not (axes and scores):
        return
    by_class = len(scores) == axes
    if len(scores) not in (axes - 1, axes):
        yield ("detection", "scores"), f"output {told.scores!r} has {len(scores)} axes, expected {axes - 1} or {axes}"
    elif told.labels is None:
        yield from _channel_faults(manifest, scores[-1] if by_class else 1)
    elif by_class and scores[-1] != 1:
        yield ("detection", "labels"), f"output {told.scores!r} has a score for each class: there is no need of labels"


def _input_faults(wanted: Input, network: NetworkReport) -> Iterator[Fault]:
    key = ("input", "neighbours") if wanted.neighbours else ("input",)
    if wanted.neighbours and network.axes != 2:
        yield key, "neighbours are for a network of slices, this one takes volumes"
    elif network.input_channels not in (None, wanted.channels):
        which = f" (a slice and {wanted.neighbours} on each side)" if wanted.neighbours else ""
        yield key, f"the network takes {network.input_channels} channels, it would be given {wanted.channels}{which}"


def _channel_faults(manifest: Manifest, channels: int | None) -> Iterator[Fault]:
    for section in ("segment", "map", "finding"):
        for index, item in enumerate(getattr(manifest, section)):
            if channels is not None and item.channel >= channels:
                known = "channel 0" if channels == 1 else f"channels 0 to {channels - 1}"
                yield (section, index, "channel"), f"the network has no channel {item.channel}, only {known}"


def _axis_faults(wanted: Input, network: NetworkReport) -> Iterator[Fault]:
    for key, axes in (("spacing", 3), ("size", network.axes), ("patch", network.axes)):
        given = getattr(wanted, key)
        if given is not None and len(given) != axes:
            yield ("input", key), f"{key} has {len(given)} numbers, expected {axes}"
    fixed = [(have, want) for have, want in zip(wanted.patch or (), network.dimensions, strict=False) if want]
    if any(have != want for have, want in fixed):
        yield ("input", "patch"), f"the network takes windows of {network.dimensions} only"
