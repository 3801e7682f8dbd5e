"""Reads a model.toml and reports all its faults, each with its line."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from orchestrator.domain.errors import ManifestError
from orchestrator.domain.model import Geometry
from orchestrator.toml import Faults, Key, read
from orchestrator.worker.manifest.input import Input, Window
from orchestrator.worker.manifest.origin import BundleAt, ServedAt, Weights
from orchestrator.worker.manifest.output import DetectionOf, FindingOf, MapOf, MeasurementOf, Output, SegmentOf
from orchestrator.worker.manifest.schema import Manifest
from orchestrator.worker.manifest.usage import IntendedFor, ResourceLimits
from orchestrator.worker.manifest.values import Runtime
from orchestrator.worker.protocol.digest import digest

Fault = tuple[Key, str]

SECTIONS: Mapping[str, type[BaseModel]] = {
    "input": Input,
    "window": Window,
    "output": Output,
    "segment": SegmentOf,
    "map": MapOf,
    "finding": FindingOf,
    "measurement": MeasurementOf,
    "detection": DetectionOf,
    "bundle": BundleAt,
    "remote": ServedAt,
    "intended": IntendedFor,
    "resources": ResourceLimits,
    "weights": Weights,
}

NETWORKS = ("onnx", "torchscript", "pytorch")
_TORCH = ("torchscript", "pytorch", "monai-bundle")

ONLY_FOR: Mapping[str, Sequence[str]] = {
    "file": (*NETWORKS, "python"),
    "weights": (*NETWORKS, "python"),
    "network": ("pytorch",),
    "bundle": ("monai-bundle",),
    "remote": ("remote",),
    "entry": ("python",),
    "python": (*_TORCH, "python"),
    "requirements": (*_TORCH, "python"),
    "segment": (*NETWORKS, "remote", "monai-bundle"),
    "map": (*NETWORKS, "remote", "monai-bundle"),
    "finding": (*NETWORKS, "remote"),
    "measurement": (*NETWORKS, "remote", "monai-bundle"),
    "detection": NETWORKS,
}
"""Keys that only some runtimes know."""

OF_ANY_MODEL = frozenset({"modality", "geometry", "gantry_tilt", "minimum_slices", "unit"})
"""Keys of ``[input]`` that select series; the others define the preparation."""


def read_manifest(path: Path) -> Manifest:
    """Return the manifest in the file.

    Raises ManifestError, one line ``file:line: sentence`` for each fault.
    """
    faults = Faults(read(path, ManifestError))
    try:
        manifest = Manifest.model_validate(faults.document.values)
    except ValidationError as invalid:
        for error in invalid.errors(include_url=False, include_input=False):
            _add(faults, error)
        faults.raise_as(ManifestError)
        raise
    for place, sentence in (
        *_runtime_faults(manifest),
        *_input_faults(manifest.input),
        *_output_faults(manifest),
        *_detection_faults(manifest, manifest.detection),
        *_reference_faults(manifest),
        *_file_faults(manifest, path.parent),
    ):
        faults.add(place, sentence)
    faults.raise_as(ManifestError)
    return manifest


def _add(faults: Faults, error: ErrorDetails) -> None:
    place: Key = tuple(error["loc"])
    key = str(place[-1]) if place else "the file"
    if error["type"] == "extra_forbidden":
        faults.add(place, f"unknown key {key!r}", key, _known_beside(place))
    elif error["type"] == "missing":
        faults.add(place[:-1], f"{key!r} is missing")
    elif place == ("runtime",):
        faults.add(place, f"expected {_runtime_text(get_args(Runtime))}")
    else:
        faults.add(place, f"{_path_text(place)}: {error['msg'].removeprefix('Value error, ').rstrip('.')}")


def _path_text(place: Key) -> str:
    return ".".join(str(part) for part in place if isinstance(part, str)) or "the file"


def _known_beside(place: Key) -> Collection[str]:
    sections = [part for part in place[:-1] if part in SECTIONS]
    return (SECTIONS[str(sections[-1])] if sections else Manifest).model_fields


def _runtime_faults(manifest: Manifest) -> Iterator[Fault]:
    """Yield keys that the runtime needs, and keys that are for other runtimes only."""
    for key, runtimes in ONLY_FOR.items():
        if getattr(manifest, key) and manifest.runtime not in runtimes:
            yield (key,), f"{key!r} is for {_runtime_text(runtimes)}"
    if manifest.runtime in (*NETWORKS, "remote"):
        yield from _meaning_faults(manifest)
    if manifest.runtime in NETWORKS and not (manifest.weights or (manifest.file and manifest.sha256)):
        yield (), "a network needs file and sha256, or [[weights]]"
    if manifest.runtime == "remote" and not manifest.remote:
        yield (), "a remote model needs [remote] with the url of the server and the name of the model there"
    if manifest.runtime == "pytorch" and not manifest.network:
        yield (), 'a PyTorch model needs network = "module:function", which builds the network for its weights'
    if manifest.runtime == "monai-bundle":
        yield from _bundle_faults(manifest)


def _input_faults(input_: Input) -> Iterator[Fault]:
    if input_.neighbours and input_.colour:
        yield (
            ("input", "neighbours"),
            "use either neighbours or colour, not both",
        )
    if input_.neighbours and input_.geometry is Geometry.IMAGE:
        yield (
            ("input", "neighbours"),
            'single images have no neighbours; write geometry = "volume" or "stack"',
        )


def _runtime_text(runtimes: Sequence[str]) -> str:
    *others, last = (f'"{runtime}"' for runtime in runtimes)
    return f"runtime = {', '.join(others)}{' or ' if others else ''}{last}"


def _meaning_faults(manifest: Manifest) -> Iterator[Fault]:
    if not (manifest.segment or manifest.map or manifest.finding):
        yield (), "a network needs at least one [[segment]], [[map]] or [[finding]] that says what its output means"
    if manifest.segment and manifest.finding:
        yield ("finding", 0), "use either [[segment]] or [[finding]], not both"
    if manifest.map and manifest.finding:
        yield ("map", 0), "a network that classifies or detects has no voxel values; remove [[map]]"


def _output_faults(manifest: Manifest) -> Iterator[Fault]:
    for key in sorted(manifest.output.model_fields_set & {"per", "aggregate"}):
        if not manifest.finding:
            yield ("output", key), f"{key} is for the scores of [[finding]]"
    for key in sorted(manifest.output.model_fields_set & {"threshold", "largest_component"}):
        if manifest.finding:
            yield ("output", key), f"{key} is for [[segment]]; each [[finding]] has a threshold of its own"
        elif manifest.map and not manifest.segment:
            yield ("output", key), f"{key} is for [[segment]]; the values of a [[map]] are written as they are"
    if manifest.map and manifest.output.activation == "argmax":
        yield ("output", "activation"), 'argmax leaves no value for a [[map]]; take "softmax"'
    if manifest.finding and manifest.output.activation == "argmax":
        yield ("output", "activation"), 'argmax leaves no score for a [[finding]]; take "softmax"'


def _detection_faults(manifest: Manifest, detection: DetectionOf | None) -> Iterator[Fault]:
    if detection is None:
        return
    if manifest.segment:
        yield ("segment", 0), "a network that detects gives boxes, not masks; name their classes with [[finding]]"
    for key in sorted(manifest.output.model_fields_set & {"name", "per", "aggregate"}):
        yield ("output", key), f"{key} is not for a network that detects; [detection] names its outputs"
    for index, finding in enumerate(manifest.finding):
        if finding.calibrated:
            yield ("finding", index, "calibrated"), "a box has a score and no certainty; remove calibrated"
    if detection.labels and not detection.scores:
        yield ("detection", "labels"), "labels need one score for each box; name the output of the scores too"
    if detection.labels and manifest.output.activation == "softmax":
        yield ("output", "activation"), "softmax needs a score for each class; with labels a box has only one"
    if detection.scores and detection.layout == "columns":
        yield ("detection", "layout"), "layout is for boxes and scores in one output"


def _bundle_faults(manifest: Manifest) -> Iterator[Fault]:
    if not manifest.bundle:
        yield (), "a MONAI bundle needs [bundle] with its path and sha256"
    if not (manifest.segment or manifest.map):
        yield (), "a MONAI bundle needs a [[segment]] or a [[map]]: no bundle says in codes what its output means"
    if manifest.input.geometry is not Geometry.VOLUME:
        yield ("input", "geometry"), 'a MONAI bundle takes geometry = "volume"'
    for key in sorted(manifest.input.model_fields_set - OF_ANY_MODEL):
        yield ("input", key), f"the preprocessing of the bundle sets {key}; remove it here"


def _reference_faults(manifest: Manifest) -> Iterator[Fault]:
    labels = [segment.label for segment in manifest.segment]
    for index, measurement in enumerate(manifest.measurement):
        if measurement.segment not in labels:
            yield ("measurement", index, "segment"), f"no [[segment]] has the label {measurement.segment!r}"
    yield from _repeated("segment", "label", labels)
    yield from _repeated("map", "name", [heat.name for heat in manifest.map])


def _repeated(section: str, key: str, names: Sequence[str]) -> Iterator[Fault]:
    for index, name in enumerate(names):
        if name in names[:index]:
            yield (section, index, key), f"two {section}s have the {key} {name!r}"


def _file_faults(manifest: Manifest, folder: Path) -> Iterator[Fault]:
    if manifest.bundle:
        yield from _digest_faults(manifest.bundle, folder / manifest.bundle.path)
    for key in ("file", "entry"):
        name = getattr(manifest, key)
        if name and not manifest.weights and not _exists(folder, name):
            yield (key,), f"{name!r} is not in {folder}"
    if manifest.file and manifest.sha256 and (folder / manifest.file).is_file():
        digest_ = sha256(folder / manifest.file)
        if digest_ != manifest.sha256:
            yield ("sha256",), f"{manifest.file} has SHA-256 {digest_}, not the one declared"


def _digest_faults(bundle: BundleAt, place: Path) -> Iterator[Fault]:
    """Yield why the bundle may not run. The message has its digest, so that a person who trusts it can allow it."""
    if not (place / "configs").is_dir():
        yield ("bundle", "path"), f"{place} is not a MONAI bundle: it has no folder configs"
    elif bundle.sha256 != (actual := digest([place], every_file=True)):
        allowed = f"not {bundle.sha256}" if bundle.sha256 else "and none is allowed"
        yield ("bundle", "sha256"), f"a bundle is code: the files in {place} have SHA-256 {actual}, {allowed}"


def _exists(folder: Path, name: str) -> bool:
    return any((folder / candidate).exists() for candidate in (name, f"{name}.py", f"{name}/__init__.py"))


def sha256(path: Path) -> str:
    """Return the SHA-256 of the file, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
