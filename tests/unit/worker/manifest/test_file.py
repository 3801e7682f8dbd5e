"""model.toml: all faults together, each with its line and what to do."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.domain.code import Code
from orchestrator.domain.concepts import codes
from orchestrator.domain.errors import ManifestError
from orchestrator.domain.model import Accepts, Empty, Geometry, Intended
from orchestrator.worker.manifest.file import read_manifest
from orchestrator.worker.manifest.input import Window
from orchestrator.worker.manifest.network import check_network
from orchestrator.worker.manifest.schema import Manifest
from orchestrator.worker.protocol.result import NetworkReport

NETWORK = b"network"
SOUND = f"""contract = 1
name = "liver"
version = "2.1"
runtime = "onnx"
file = "liver.onnx"
sha256 = "{hashlib.sha256(NETWORK).hexdigest()}"
[input]
modality = "CT"
spacing = [1.5, 1.5, 3.0]
orientation = "RAS"
window = {{ center = 50, width = 400 }}
patch = [96, 96, 96]
[output]
activation = "softmax"
[[segment]]
channel = 1
label = "Liver"
type = "liver"
[[segment]]
channel = 2
label = "Lesion"
type = ["4147007", "SCT", "Mass"]
category = "abnormal structure"
anatomy = "liver"
[[measurement]]
name = "mean"
segment = "Liver"
"""

Read = Callable[[str], Manifest]


MAPS = (
    SOUND.partition("[[segment]]")[0]
    + """[[map]]
channel = 1
name = "Likelihood"
unit = "1"
quantity = "probabilistic segmentation"
range = [0.0, 1.0]
"""
)


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def written(text: str) -> Manifest:
        (tmp_path / "liver.onnx").write_bytes(NETWORK)
        (tmp_path / "model.toml").write_text(text)
        return read_manifest(tmp_path / "model.toml")

    return written


def test_a_sound_manifest_says_what_a_model_description_needs(read: Read) -> None:
    described = read(SOUND + '[resources]\ntimeout_seconds = 60\n[intended]\nbody_part = "LIVER"').described()
    assert described["intended"] == Intended(modality=("CT",), body_part=("LIVER",))
    assert described["accepts"] == Accepts(geometry=Geometry.VOLUME)
    assert described["resources"].timeout_seconds == 60
    assert described["empty"] is Empty.FAILURE


def test_concepts_are_named_or_spelt_out(read: Read) -> None:
    liver, lesion = read(SOUND).segment
    assert liver.type == codes["liver"]
    assert lesion.type == Code("4147007", "SCT", "Mass")


@pytest.mark.parametrize("window", [Window(min=-150, max=250), Window(center=50, width=400)])
def test_a_window_is_two_ends_or_center_and_width(window: Window) -> None:
    assert window.ends == (-150, 250)


FAULTS = [
    ('name = "liver"', 'nam = "liver"', ":1: 'name' is missing", ":2: unknown key 'nam'. Did you mean 'name'?"),
    ('name = "liver"', 'name = "Liver 2"', ":2: name: "),
    ("contract = 1", "contract = 2", ":1: contract: "),
    ('"onnx"', '"tensorflow"', ':4: expected runtime = "onnx", "torchscript", '),
    ('file = "liver.onnx"', 'file = "lung.onnx"', ":5: 'lung.onnx' is not in "),
    ('file = "liver.onnx"', 'file = "../liver.onnx"', ":5: file: expected a path inside the folder"),
    ('"liver.onnx"', '"/etc/passwd"', ":5: file: expected a path inside the folder"),
    ("spacing = [1.5, 1.5, 3.0]", "spacing = [1.5]", ":9: input.spacing: expected one number for each axis"),
    ("spacing = [1.5, 1.5, 3.0]", "spacing = [1.5, -1, 3.0]", ":9: input.spacing: "),
    ('"RAS"', '"RAL"', ":10: input.orientation: expected three letters"),
    ("width = 400", "widht = 400", ":11: unknown key 'widht'. Did you mean 'width'?"),
    ("center = 50, width = 400", "min = 3, max = 2", ":11: input.window: expected {min, max} with min below max"),
    ('"softmax"', '"softmx"', ":14: output.activation: "),
    ('type = "liver"', 'type = "livr"', ":18: segment.type: no coded concept is named 'livr' - did you mean 'liver'"),
    ('label = "Lesion"', 'label = "Liver"', ":21: two segments have the label 'Liver'"),
    ('["4147007", "SCT", "Mass"]', '["4147007", "SCT"]', ":22: segment.type: expected a plain name"),
    ('segment = "Liver"', 'segment = "Spleen"', ":27: no [[segment]] has the label 'Spleen'"),
    ("[output]", "[outptu]", ":13: unknown key 'outptu'. Did you mean 'output'?"),
    ("patch = [96, 96, 96]", "neighbours = -1", ":12: input.neighbours: "),
    ("patch = [96, 96, 96]", "colour = true\nneighbours = 1", ":13: use either neighbours or colour, not both"),
    ("patch = [96, 96, 96]", "patch = [96, 96, 96]\nsize = [9, 9, 9]", ":7: input: give spacing or size, not both"),
]


@pytest.mark.parametrize(("part", "instead", "sentences"), [(part, instead, s) for part, instead, *s in FAULTS])
def test_a_fault_is_named_with_its_line(read: Read, part: str, instead: str, sentences: list[str]) -> None:
    assert SOUND.count(part) >= 1
    with pytest.raises(ManifestError) as raised:
        read(SOUND.replace(part, instead, 1))
    assert all(sentence in str(raised.value) for sentence in sentences)


def test_all_faults_come_together_in_the_order_of_the_file(read: Read) -> None:
    faulty = SOUND.replace('"RAS"', '"XYZ"').replace('version = "2.1"', "").replace('"mean"', '"median"')
    with pytest.raises(ManifestError) as raised:
        read(faulty)
    numbers = [int(line.split(":")[1]) for line in str(raised.value).splitlines()]
    assert numbers == sorted(numbers)
    assert len(numbers) == 3


def test_a_file_of_another_sha256_is_refused(read: Read) -> None:
    with pytest.raises(ManifestError, match=r":6: liver\.onnx has SHA-256 [0-9a-f]{64}, not the one declared"):
        read(SOUND.replace(hashlib.sha256(NETWORK).hexdigest(), "0" * 64))


@pytest.mark.parametrize("text", ["a = [", "x" * 5000 + " = 1", "# " * 200_000, ".".join("a" * 40) + " = 1", "\x00"])
def test_a_file_that_cannot_be_read_is_one_sentence(read: Read, text: str) -> None:
    with pytest.raises(ManifestError) as raised:
        read(text)
    assert len(str(raised.value).splitlines()) == 1


PYTHON = 'contract = 1\nname = "x"\nversion = "1"\nruntime = "python"\n'


def test_a_python_model_gives_its_own_segments(read: Read) -> None:
    with pytest.raises(ManifestError, match=":5: 'segment' is for runtime = \"onnx\", "):
        read(PYTHON + '[[segment]]\nlabel = "x"\ntype = "liver"')


BUNDLE = PYTHON.replace('"python"', '"monai-bundle"')
SPLEEN = '[[segment]]\nlabel = "Spleen"\ntype = "spleen"\n'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (SOUND.replace('"onnx"', '"pytorch"'), ':1: a PyTorch model needs network = "module:function"'),
        (SOUND.replace('"onnx"', '"onnx"\nnetwork = "a:b"'), ":5: 'network' is for runtime = \"pytorch\""),
        (SOUND.replace('"onnx"', '"onnx"\nrequirements = ["a==1"]'), ":5: 'requirements' is for runtime = \"torchsc"),
        (BUNDLE, ":1: a MONAI bundle needs [bundle] with its path and sha256"),
        (BUNDLE, ":1: a MONAI bundle needs a [[segment]] or a [[map]]"),
        (BUNDLE + 'file = "liver.onnx"\n' + SPLEEN, ":5: 'file' is for runtime = "),
        (BUNDLE + SPLEEN + "[input]\nspacing = [1, 1, 1]", ":9: the preprocessing of the bundle sets spacing"),
        (BUNDLE + SPLEEN + '[input]\ngeometry = "stack"', ':9: a MONAI bundle takes geometry = "volume"'),
        (BUNDLE + 'bundle = { path = ".", sha256 = "12" }', ":5: bundle.sha256: "),
        (BUNDLE + 'bundle = { path = "gone" }', "/gone is not a MONAI bundle: it has no folder configs"),
    ],
)
def test_what_a_runtime_lacks_or_does_not_know_is_named(read: Read, text: str, sentence: str) -> None:
    with pytest.raises(ManifestError) as raised:
        read(text)
    assert sentence in str(raised.value)


@pytest.mark.parametrize("geometry", ["stack", "image"])
def test_spacing_needs_a_volume(read: Read, geometry: str) -> None:
    with pytest.raises(ManifestError, match='need geometry = "volume"'):
        read(PYTHON + f'input = {{ geometry = "{geometry}", spacing = [1, 1, 1] }}')


def test_a_conversion_needs_the_fingerprint_of_what_it_makes(read: Read) -> None:
    weights = f'[[weights]]\npackage = "p"\nversion = "1"\npath = "a/b"\nsha256 = "{"0" * 64}"\nconvert = "m:f"'
    with pytest.raises(ManifestError, match=":5: weights: convert needs file"):
        read(PYTHON + weights)


def network(**said: object) -> NetworkReport:
    sound = {
        "axes": 3,
        "input_channels": 1,
        "channels": 3,
        "scores": False,
        "dimensions": (None, None, None),
        "outputs": {},
    }
    return NetworkReport.model_validate({**sound, **said})


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"channels": 2}, ":20: the network has no channel 2, only channels 0 to 1"),
        ({"axes": 2, "dimensions": (None, None)}, ":12: patch has 3 numbers, expected 2"),
        ({"dimensions": (64, 64, 64)}, ":12: the network takes windows of"),
        ({"input_channels": 4}, ":7: the network takes 4 channels, but the input has 1"),
        ({"scores": True}, ":1: the network returns scores; name them with"),
    ],
)
def test_what_the_network_lacks_is_named_with_its_line(
    read: Read, tmp_path: Path, said: dict[str, object], sentence: str
) -> None:
    manifest = read(SOUND)
    with pytest.raises(ManifestError) as raised:
        check_network(tmp_path / "model.toml", manifest, network(**said))
    assert sentence in str(raised.value)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"input_channels": 3}, ":12: neighbours are for a network of slices; this one takes volumes"),
        (
            {"axes": 2, "dimensions": (None, None), "input_channels": 3},
            ":12: the network takes 3 channels, but the input has 5 (a slice and 2 on each side)",
        ),
    ],
)
def test_neighbours_are_channels_of_a_network_of_slices(
    read: Read, tmp_path: Path, said: dict[str, object], sentence: str
) -> None:
    manifest = read(SOUND.replace("patch = [96, 96, 96]", "neighbours = 2"))
    with pytest.raises(ManifestError) as raised:
        check_network(tmp_path / "model.toml", manifest, network(**said))
    assert sentence in str(raised.value)


SCORES = SOUND[: SOUND.index("[input]")] + '[output]\nper = "image"\n[[finding]]\nname = "mass"\n'
ON_SEGMENTS = SCORES.replace("[[finding]]\nname", '[[segment]]\nlabel = "x"\ntype')


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (ON_SEGMENTS, ":8: per is for the scores of [[finding]]"),
        (ON_SEGMENTS.replace('per = "image"', 'aggregate = "mean"'), ":8: aggregate is for the scores of [[finding]]"),
        (SCORES.replace('per = "image"', "threshold = 0.4"), ":8: threshold is for [[segment]]; each [[finding]] has"),
        (SCORES.replace('per = "image"', "largest_component = true"), ":8: largest_component is for [[segment]]"),
        (SCORES.replace('per = "image"', 'activation = "argmax"'), ":8: argmax leaves no score for a [[finding]]"),
        (SCORES.replace('"image"', '"slice"'), ":8: output.per: "),
        (SCORES + "calibrated = 7", ":11: finding.calibrated: "),
    ],
)
def test_what_scores_are_not_for_is_named(read: Read, text: str, sentence: str) -> None:
    with pytest.raises(ManifestError) as raised:
        read(text)
    assert sentence in str(raised.value)


DETECTION = SCORES.replace('[output]\nper = "image"', '[detection]\nboxes = "b"\nscores = "s"\nlabels = "l"')
AFTER = "[output]\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (DETECTION.replace("[[finding]]\nname", '[[segment]]\nlabel = "x"\ntype'), ":11: a network that detects gives"),
        (DETECTION.replace('boxes = "b"', ""), ":7: 'boxes' is missing"),
        (DETECTION.replace("scores", "score"), ":9: unknown key 'score'. Did you mean 'scores'?"),
        (DETECTION.replace('scores = "s"', ""), ":10: labels need one score for each box; name the output of the"),
        (DETECTION.replace('labels = "l"', 'layout = "columns"'), ":10: layout is for boxes and scores in one output"),
        (DETECTION.replace('labels = "l"', 'order = "xywh"'), ":10: detection.order: "),
        (DETECTION.replace('labels = "l"', "iou = 1.5"), ":10: detection.iou: "),
        (DETECTION + "calibrated = true", ":13: a box has a score and no certainty"),
        (DETECTION + AFTER + 'activation = "softmax"', ":14: softmax needs a score for each class"),
        (DETECTION + AFTER + 'per = "image"', ":14: per is not for a network that detects"),
        (
            DETECTION + AFTER + 'name = "b"',
            ":14: name is not for a network that detects; [detection] names its outputs",
        ),
        (DETECTION.replace('runtime = "onnx"', 'runtime = "remote"'), ":7: 'detection' is for runtime = \"onnx\", "),
        (DETECTION.partition("[[finding]]")[0], ":1: a network needs at least one [[segment]], [[map]] or [[finding]]"),
    ],
)
def test_what_is_wrong_with_a_detection_is_named(read: Read, text: str, sentence: str) -> None:
    with pytest.raises(ManifestError) as raised:
        read(text)
    assert sentence in str(raised.value)


@pytest.mark.parametrize(
    ("outputs", "sentence"),
    [
        ({"b": (None, 4), "l": (None,)}, ":9: the network has no output 's', only 'b', 'l'"),
        ({"b": (None, 7), "s": (None,), "l": (None,)}, ":8: output 'b' has 7 numbers a box, expected 4"),
        ({"b": (1, 1, None, 7), "s": (None,), "l": (None,)}, ":8: output 'b' has 4 axes, expected (boxes, numbers)"),
        ({"b": (None, 4), "s": (1, 1, None), "l": (None,)}, ":9: output 's' has 3 axes, expected 1 or 2"),
        ({"b": (None, 4), "s": (None, 80), "l": (None,)}, ":10: output 's' has a score for each class; remove labels"),
    ],
)
def test_an_output_that_is_no_boxes_or_scores_is_named_with_its_line(
    read: Read, tmp_path: Path, outputs: dict[str, object], sentence: str
) -> None:
    manifest = read(DETECTION)
    with pytest.raises(ManifestError) as raised:
        check_network(tmp_path / "model.toml", manifest, network(axes=2, dimensions=(None, None), outputs=outputs))
    assert sentence in str(raised.value)


@pytest.mark.parametrize(
    "outputs",
    [
        {"b": (None, 4), "s": (None,), "l": (None,)},
        {"b": (1, None, 4), "s": (1, None), "l": (1, None)},
        {"b": (1, None, 4), "s": (1, None, 1), "l": (1, None)},
        {"b": (), "s": (), "l": ()},
    ],
)
def test_outputs_of_boxes_pass_with_a_batch_axis_or_without(
    read: Read, tmp_path: Path, outputs: dict[str, object]
) -> None:
    said = network(axes=2, dimensions=(None, None), outputs=outputs)
    check_network(tmp_path / "model.toml", read(DETECTION), said)


def test_scores_image_by_image_need_a_network_of_slices(read: Read, tmp_path: Path) -> None:
    manifest = read(SCORES)
    check_network(tmp_path / "model.toml", manifest, network(axes=2, dimensions=(None, None), scores=True))
    with pytest.raises(ManifestError, match=':8: per = "image" is for a network of slices; this one takes volumes'):
        check_network(tmp_path / "model.toml", manifest, network(scores=True))


def test_images_one_by_one_have_no_neighbours(read: Read) -> None:
    with pytest.raises(ManifestError, match=":6: single images have no neighbours"):
        read(PYTHON + '[input]\nneighbours = 1\ngeometry = "image"')


def test_a_network_that_fits_passes(read: Read, tmp_path: Path) -> None:
    check_network(tmp_path / "model.toml", read(SOUND), network(channels=None, dimensions=(96, 96, None)))


def test_a_map_is_read(read: Read) -> None:
    (heat,) = read(MAPS).map
    assert (heat.channel, heat.name, heat.unit, heat.range) == (1, "Likelihood", "1", (0.0, 1.0))
    assert heat.quantity == codes["probabilistic segmentation"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (MAPS.replace('"1"\nq', '"HU"\nq'), ":18: map.unit: 'HU' is not a UCUM unit"),
        (MAPS.replace("[0.0, 1.0]", "[1.0, 0.0]"), ":15: map: expected the range as [lowest, highest]"),
        (MAPS.replace('"Likelihood"', '""'), ":17: map.name: "),
        (MAPS + "threshold = 0.5", ":21: unknown key 'threshold'"),
        (MAPS + '[[map]]\nname = "Likelihood"', ":22: two maps have the name 'Likelihood'"),
        (MAPS + '[[finding]]\nname = "nodule"', ":15: a network that classifies or detects has no voxel values"),
        (MAPS.replace('"softmax"', '"softmax"\nthreshold = 0.5'), ":15: threshold is for [[segment]]; the values of a"),
        (MAPS.replace('"softmax"', '"argmax"'), ":14: argmax leaves no value for a [[map]]"),
        (MAPS.replace('"softmax"', '"softmax"\nper = "image"'), ":15: per is for the scores of [[finding]]"),
        (MAPS + '[[measurement]]\nname = "mean"\nsegment = "Likelihood"', ":23: no [[segment]] has the label"),
    ],
)
def test_a_map_that_cannot_be_is_refused_by_line(read: Read, text: str, fault: str) -> None:
    with pytest.raises(ManifestError) as refused:
        read(text)
    assert fault in str(refused.value)


def test_a_map_of_a_channel_that_is_not_there_is_refused(read: Read, tmp_path: Path) -> None:
    said = NetworkReport(
        axes=3, input_channels=1, channels=1, scores=False, dimensions=(None, None, None), outputs={"y": (1, 1)}
    )
    with pytest.raises(ManifestError, match=":16: the network has no channel 1, only channel 0"):
        check_network(tmp_path / "model.toml", read(MAPS), said)
