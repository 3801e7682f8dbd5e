"""Whether a network is the one that its model.toml speaks of: each fault with its line, before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from orchestrator.domain.errors import ManifestError
from orchestrator.toml import Faults, read
from orchestrator.worker import manifest as schema
from orchestrator.worker.answer import NetworkSaid
from orchestrator.worker.manifest import Manifest
from orchestrator.worker.manifest_file import Fault


def check_network(path: Path, manifest: Manifest, network: NetworkSaid) -> None:
    """Return when the network in the file is the one that the manifest speaks of.

    Raises ManifestError.
    """
    faults = Faults(read(path, ManifestError))
    for place, sentence in _network_faults(manifest, network):
        faults.add(place, sentence)
    faults.raise_as(ManifestError)


def _network_faults(manifest: Manifest, network: NetworkSaid) -> Iterator[Fault]:
    if network.scores and not manifest.finding:
        yield (), "the network gives scores: name them with [[finding]]"
    if manifest.finding and not network.scores:
        yield ("finding", 0), "the network gives maps and no scores: name them with [[segment]]"
    if manifest.output.per == "image" and network.axes != 2:
        yield ("output", "per"), 'per = "image" is for a network of slices, this one takes volumes'
    yield from _input_faults(manifest.input, network)
    yield from _channel_faults(manifest, network.channels)
    yield from _axis_faults(manifest.input, network)


def _input_faults(wanted: schema.Input, network: NetworkSaid) -> Iterator[Fault]:
    key = ("input", "neighbours") if wanted.neighbours else ("input",)
    if wanted.neighbours and network.axes != 2:
        yield key, "neighbours are for a network of slices, this one takes volumes"
    elif network.input_channels not in (None, wanted.channels):
        which = f" (a slice and {wanted.neighbours} on each side)" if wanted.neighbours else ""
        yield key, f"the network takes {network.input_channels} channels, it would be given {wanted.channels}{which}"


def _channel_faults(manifest: Manifest, channels: int | None) -> Iterator[Fault]:
    for section in ("segment", "finding"):
        for index, item in enumerate(getattr(manifest, section)):
            if channels is not None and item.channel >= channels:
                known = "channel 0" if channels == 1 else f"channels 0 to {channels - 1}"
                yield (section, index, "channel"), f"the network has no channel {item.channel}, only {known}"


def _axis_faults(wanted: schema.Input, network: NetworkSaid) -> Iterator[Fault]:
    for key, axes in (("spacing", 3), ("size", network.axes), ("patch", network.axes)):
        given = getattr(wanted, key)
        if given is not None and len(given) != axes:
            yield ("input", key), f"{key} has {len(given)} numbers, expected {axes}"
    fixed = [(have, want) for have, want in zip(wanted.patch or (), network.dimensions, strict=False) if want]
    if any(have != want for have, want in fixed):
        yield ("input", "patch"), f"the network takes windows of {network.dimensions} only"
