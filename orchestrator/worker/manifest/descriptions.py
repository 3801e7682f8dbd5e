"""What each key of a model.toml means: the words of its reference and of the schema for editors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Words(NamedTuple):
    """The meaning of a key, in Markdown; ``default`` where the value itself would not tell."""

    meaning: str
    default: str = ""


CONCEPT = 'a plain name such as `"liver"`, or `["10200004", "SCT", "Liver"]`'
LATERALITY = '`"left"`, `"right"` or `"bilateral"`'

WORDS: Mapping[str, Mapping[str, Words]] = {
    "Manifest": {
        "contract": Words("`1`"),
        "name": Words(
            "small letters, digits and hyphens; rules and commands use it; two models of one name are both refused"
        ),
        "version": Words("up to 64 characters; written into the results"),
        "runtime": Words("which code runs it; see [the runtimes](#the-runtimes)"),
        "file": Words("the network beside this file", "required for a network unless there are `[[weights]]`"),
        "sha256": Words("digest of `file`; another file is refused", "required with `file`"),
        "network": Words(
            'PyTorch: `"module:function"` of this folder, which builds the module that the weights are loaded into',
            "required for PyTorch",
        ),
        "entry": Words(
            "Python: the file or package in this folder that registers the model", "required in a model folder"
        ),
        "requirements": Words(
            'all but ONNX: packages of the model\'s own, each pinned (`["scipy==1.17.1"]`); '
            "`orchestrator models install` makes an environment of them",
            "none: the host's packages",
        ),
        "python": Words(
            'all but ONNX: the interpreter that the environment is made with (`"python3.12"`); without `requirements`, '
            "one that has numpy and pluggy; it sees no package of the host's",
            "the host's",
        ),
        "description": Words("one line for people", "empty"),
        "manufacturer": Words("for the equipment named in the results", "empty"),
        "licence": Words("of network and weights, for people", "empty"),
        "empty": Words(
            'what it means when nothing was found: `"negative"` (a result) or `"failure"` '
            "(the model should always find something)"
        ),
        "qualification": Words('`"RESEARCH"`, `"PRODUCT"` or `"SERVICE"` (PS3.3 C.8.13.2.1)'),
        "parameters": Words("a table of text, written into the SR; no patient data", "empty"),
    },
    "Input": {
        "modality": Words("one or several DICOM modalities; others are `unsupported`", "any"),
        "geometry": Words(
            '`"volume"`: one regular grid; `"stack"`: slices in order; '
            '`"image"`: images one by one, no patient space needed'
        ),
        "gantry_tilt": Words("whether a sheared volume is taken"),
        "minimum_slices": Words("fewest slices that are taken"),
        "colour": Words("give red, green and blue; else colour arrives as luminance"),
        "neighbours": Words(
            'for a network of slices ("2.5-D"): how many slices on each side it sees as further channels, up to 32; '
            'not with `colour` or `geometry = "image"`'
        ),
        "orientation": Words(
            'direction in which each axis of the network\'s array grows, first axis first: `"SPL"`, `"RAS"` …',
            "the source's axes",
        ),
        "spacing": Words('mm along the network\'s axes; needs `geometry = "volume"`', "native"),
        "size": Words("voxels instead of mm; two numbers: rows and columns of each slice", "native"),
        "window": Words("`{ min, max }` or `{ center, width }`: clipped, then scaled", "none"),
        "scale": Words("the two values that the ends of the window become"),
        "normalize": Words('over the whole volume, after the window: `"none"`, `"zscore"`, `"minmax"`'),
        "mean": Words("subtracted, where `normalize` is none"),
        "std": Words("divided by, where `normalize` is none"),
        "patch": Words(
            "size of a window; two numbers for a network of slices, three for one of volumes",
            "the network's own, else everything",
        ),
        "overlap": Words(
            "part of a window that the next one repeats; overlapping scores are averaged, borders weigh less"
        ),
    },
    "Window": {
        "min": Words("the lowest value that is kept"),
        "max": Words("the highest value that is kept"),
        "center": Words("the middle of the values that are kept"),
        "width": Words("how far they reach from the lowest to the highest"),
    },
    "Output": {
        "name": Words("which output, where there are several", "the first"),
        "activation": Words('`"none"`, `"sigmoid"`, `"softmax"` or `"argmax"` over the channels'),
        "per": Words('for `[[finding]]`: `"series"`, one score for all images, or `"image"`, a score for each'),
        "aggregate": Words(
            "for `[[finding]]`: how the scores of several windows, or of all images, become one: "
            '`"maximum"` or `"mean"`'
        ),
        "threshold": Words("a voxel whose score is at least this belongs to the segment (not for argmax)"),
        "largest_component": Words("keep the largest connected part of each segment only"),
    },
    "SegmentOf": {
        "channel": Words("which output channel, counted from 0"),
        "label": Words("what viewers show, up to 64 characters; no patient data"),
        "type": Words(f"what it is, a concept: {CONCEPT}"),
        "category": Words("what kind of thing that is, a concept", "anatomical structure"),
        "anatomy": Words("where in the body, where `type` is a lesion or a tissue; a concept", "none"),
        "laterality": Words(LATERALITY, "none"),
        "colour": Words("`[red, green, blue]`, each 0 to 255", "chosen by the host"),
    },
    "MapOf": {
        "channel": Words("which output channel, counted from 0; its values are written after the activation"),
        "name": Words("what viewers show, up to 64 characters; no patient data"),
        "unit": Words("of the values, in UCUM; `1` where they have none"),
        "quantity": Words("what is measured, a concept (CID 7180)", "none: the name says it"),
        "range": Words("`[lowest, highest]` value that colours tell apart", "those of the values"),
    },
    "FindingOf": {
        "channel": Words("which of the network's scores, counted from 0"),
        "name": Words(f"what is found, a concept: {CONCEPT}"),
        "threshold": Words("present from this score on, else absent"),
        "calibrated": Words(
            "the score is a probability that was checked on data: a present finding gets it as certainty "
            "(111012, DCM) in percent too"
        ),
        "site": Words("where in the body, a concept", "none"),
        "laterality": Words(LATERALITY, "none"),
    },
    "DetectionOf": {
        "boxes": Words(
            "name of the output with the boxes: (boxes, 4) or (boxes, 6), a batch axis of one before it or not"
        ),
        "scores": Words(
            "name of the output with the scores: (boxes), or (boxes, classes) without `labels`; without it, the scores "
            "of the classes follow the numbers of each box in `boxes`",
            "in `boxes`",
        ),
        "labels": Words(
            "name of the output with the label of each box: (boxes)", "none: one class, or a score for each"
        ),
        "layout": Words(
            'for boxes and scores in one output: `"rows"`, a box is a row (boxes, numbers), or `"columns"` '
            "(numbers, boxes) as YOLO exports it"
        ),
        "order": Words(
            'in slices `"xyxy"`, `"yxyx"` (two corners) or `"cxcywh"` (centre and size); in volumes `"xyzxyz"`, '
            '`"zyxzyx"` or `"cxcyczwhd"`; x runs along the last axis of the network\'s input, y along the one before, '
            "z along the first of three"
        ),
        "unit": Words(
            '`"pixel"`: voxel k reaches from k to k + 1; `"fraction"` of the size of what the network was given'
        ),
        "iou": Words(
            "of two boxes of a class that overlap by more (intersection over union), the one of the lower score is "
            "dropped; `1` drops none"
        ),
    },
    "MeasurementOf": {
        "name": Words(
            '`"mean"`, `"maximum"` or `"minimum"` of the images\' own values; '
            '`"volume"` is measured for every segment without being asked'
        ),
        "segment": Words("the segment inside which it is measured, named by its label"),
    },
    "BundleAt": {
        "path": Words("the bundle's folder (with `configs/`), seen from this file"),
        "sha256": Words(
            "digest of the very files that you trust; another bundle is refused, naming the digest it has", "required"
        ),
        "weights": Words("the file of the network in the bundle", "`models/model.pt`, else `models/model.ts`"),
    },
    "ServedAt": {
        "url": Words(
            "`http://host:port` or `https://host:port`, a path may follow; the settings must allow it in an "
            "[`[[egress]]`](settings.md)"
        ),
        "model": Words("its name on the server"),
        "version": Words("which version of it", "the server's choice"),
        "input": Words("which input, where there are several; the output is chosen by `[output] name`", "the only one"),
        "timeout_seconds": Words("for one answer of the server; `[resources] timeout_seconds` bounds the whole volume"),
    },
    "IntendedFor": {
        "modality": Words("one or several DICOM modalities", "those of `[input]`"),
        "body_part": Words("one or several values of BodyPartExamined", "any"),
        "sex": Words("one or several values of PatientSex", "any"),
        "minimum_age_years": Words("youngest patient", "any"),
        "maximum_age_years": Words("oldest patient", "any"),
        "contrast": Words("`true`: with contrast agent only; `false`: without only", "either"),
    },
    "Needs": {
        "device": Words(
            '`"cpu"`, `"cuda"` (a GPU, or not at all) or `"any"` (a GPU where there is one with room, else the CPU); '
            "see [GPUs](../how-to/gpu.md)"
        ),
        "memory_mb": Words(
            "what room the model is given on its device. On the CPU, the private memory of its process, the stacks of "
            'its threads included: beyond it the job ends with "out of memory". On a GPU, the arena of onnxruntime'
        ),
        "timeout_seconds": Words("for loading and for each volume; then the process is killed"),
    },
    "Weights": {
        "package": Words("the wheel"),
        "version": Words("which version of it"),
        "path": Words("the file in it"),
        "sha256": Words("digest of that file"),
        "file": Words("its name in the folder that `load(weights, device)` gets", "its own"),
        "convert": Words('`"module:function"`, called as `function(source, target)` in a cage', "none"),
        "fingerprint": Words("sha256 of what the conversion makes", "required with `convert`"),
    },
}
