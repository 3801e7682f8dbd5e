"""One small network, exported every way that the worker can run it; each export is a model folder."""

from __future__ import annotations

import hashlib
import json
import types
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from orchestrator.worker.protocol.digest import digest

NETWORK = '''
"""Finds bright lesions: channel 1 of the output is above channel 0 where the neighbourhood is bright."""

import torch


class LesionNet(torch.nn.Module):
    def __init__(self, sharpness=40.0, middle=0.5):
        super().__init__()
        self.find = torch.nn.Conv3d(1, 2, 3, padding=1, padding_mode="replicate")
        weight = torch.zeros(2, 1, 3, 3, 3)
        weight[1] = sharpness * (1 - middle) / 26
        weight[1, 0, 1, 1, 1] = sharpness * middle
        self.find.weight.data = weight
        self.find.bias.data = torch.tensor([0.0, -0.55 * sharpness])

    def forward(self, image):
        return self.find(image)


def build():
    return LesionNet(0.0, 0.0)  # finds nothing before it has its weights
'''

MANIFEST = """contract = 1
name = "{name}"
version = "1"
runtime = "{runtime}"
empty = "negative"
{where}
[[segment]]
channel = 1
label = "Lesion"
type = "lesion"
category = "abnormal structure"
[[measurement]]
name = "mean"
segment = "Lesion"
"""

AS_THE_BUNDLE = """
[input]
modality = "CT"
orientation = "RAS"
window = { min = 0, max = 400 }
patch = [24, 24, 24]
overlap = 0.5
[output]
activation = "argmax"
"""
"""What the bundle's configuration says, in the words of model.toml."""

KEYS = {"keys": "pred"}
INFERENCE: dict[str, Any] = {
    "imports": ["$import glob"],
    "bundle_root": ".",
    "output_dir": "$@bundle_root + '/eval'",
    "dataset_dir": "/workspace/data",
    "datalist": "$list(sorted(glob.glob(@dataset_dir + '/imagesTs/*.nii.gz')))",
    "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
    "network_def": {"_target_": "scripts.lesion.LesionNet", "sharpness": 0.0},
    "network": "$@network_def.to(@device)",
    "preprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "LoadImaged", "keys": "image", "reader": "ITKReader"},
            {"_target_": "EnsureChannelFirstd", "keys": "image"},
            {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
            {
                "_target_": "ScaleIntensityRanged",
                "keys": "image",
                "a_min": 0,
                "a_max": 400,
                "b_min": 0,
                "b_max": 1,
                "clip": True,
            },
            {"_target_": "EnsureTyped", "keys": "image"},
        ],
    },
    "dataset": {"_target_": "Dataset", "data": "$[{'image': i} for i in @datalist]", "transform": "@preprocessing"},
    "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1, "num_workers": 4},
    "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [24, 24, 24], "overlap": 0.5, "mode": "gaussian"},
    "postprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "Activationsd", **KEYS, "softmax": True},
            {
                "_target_": "Invertd",
                **KEYS,
                "transform": "@preprocessing",
                "orig_keys": "image",
                "nearest_interp": False,
                "to_tensor": True,
            },
            {"_target_": "AsDiscreted", **KEYS, "argmax": True},
            {"_target_": "SaveImaged", **KEYS, "meta_keys": "pred_meta_dict", "output_dir": "@output_dir"},
        ],
    },
    "evaluator": {"_target_": "SupervisedEvaluator", "device": "@device", "network": "@network"},
}
"""The inference configuration of a bundle, in the form that the model zoo's have."""

METADATA = {
    "schema": "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json",
    "version": "0.1.0",
    "monai_version": "1.4.0",
    "pytorch_version": "2.4.0",
    "numpy_version": "1.24.4",
    "task": "Finding bright lesions",
    "network_data_format": {
        "inputs": {
            "image": {
                "type": "image",
                "format": "hounsfield",
                "modality": "CT",
                "num_channels": 1,
                "spatial_shape": [24, 24, 24],
                "dtype": "float32",
                "value_range": [0, 1],
                "is_patch_data": True,
                "channel_def": {"0": "image"},
            }
        },
        "outputs": {
            "pred": {
                "type": "image",
                "format": "segmentation",
                "num_channels": 2,
                "spatial_shape": [24, 24, 24],
                "dtype": "float32",
                "value_range": [0, 1],
                "is_patch_data": True,
                "channel_def": {"0": "background", "1": "lesion"},
            }
        },
    },
}


def network() -> Any:
    """Return the network with its weights."""
    module = types.ModuleType("lesion")
    exec(NETWORK, module.__dict__)
    return module.LesionNet().eval()


def traced(file: Path) -> Path:
    """Write the network as TorchScript."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch advises its successors, which hospitals do not have yet
        torch.jit.trace(network(), torch.zeros(1, 1, 8, 8, 8)).save(str(file))
    return file


def model_folder(folder: Path, runtime: str, where: str, file: Path | None = None) -> Path:
    """Write a model.toml for the file, its name that of the folder, and return the folder."""
    if file is not None:
        where = f'file = "{file.name}"\nsha256 = "{hashlib.sha256(file.read_bytes()).hexdigest()}"\n{where}'
    (folder / "model.toml").write_text(MANIFEST.format(name=folder.name, runtime=runtime, where=where))
    return folder


def onnx(folder: Path, how: str = AS_THE_BUNDLE) -> Path:
    """Make the folder of the ONNX export."""
    import torch

    folder.mkdir(parents=True)
    file = folder / "network.onnx"
    axes = {axis + 2: name for axis, name in enumerate("abc")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network(),
            (torch.zeros(1, 1, 8, 8, 8),),
            str(file),
            input_names=["image"],
            output_names=["scores"],
            dynamic_axes={"image": axes, "scores": axes},
            opset_version=17,
            dynamo=False,
        )
    return model_folder(folder, "onnx", how, file)


def torchscript(folder: Path, how: str = AS_THE_BUNDLE) -> Path:
    """Make the folder of the TorchScript export."""
    folder.mkdir(parents=True)
    return model_folder(folder, "torchscript", how, traced(folder / "network.pt"))


def pytorch(folder: Path, how: str = AS_THE_BUNDLE) -> Path:
    """Make the folder of the weights and of the module that they are loaded into."""
    import torch

    folder.mkdir(parents=True)
    torch.save(network().state_dict(), folder / "weights.pt")
    (folder / "lesion.py").write_text(NETWORK)
    return model_folder(folder, "pytorch", f'network = "lesion:build"\n{how}', folder / "weights.pt")


def monai_bundle(folder: Path, how: str = "", **changes: Any) -> Path:
    """Make the folder of a bundle, whose digest its model.toml allows; ``changes`` are of its configuration."""
    import torch

    bundle = bundle_files(folder / "bright_lesions", INFERENCE | changes)
    torch.save(network().state_dict(), bundle / "models" / "model.pt")
    return allow(folder, how)


def bundle_files(bundle: Path, inference: Mapping[str, Any] = INFERENCE) -> Path:
    """Write a bundle without its weights and return its folder."""
    for name in ("configs", "models", "scripts", "docs"):
        (bundle / name).mkdir(parents=True)
    (bundle / "configs" / "metadata.json").write_text(json.dumps(METADATA))
    (bundle / "configs" / "inference.json").write_text(json.dumps(inference))
    (bundle / "scripts" / "__init__.py").touch()
    (bundle / "scripts" / "lesion.py").write_text(NETWORK)
    (bundle / "docs" / "README.md").write_text("# Bright lesions\n")
    return bundle


def allow(folder: Path, how: str = "") -> Path:
    """Write a model.toml that allows the bundle in the folder as it is now."""
    sha256 = digest([folder / "bright_lesions"], every_file=True)
    where = f'bundle = {{ path = "bright_lesions", sha256 = "{sha256}" }}\n{how}'
    return model_folder(folder, "monai-bundle", where)


EXPORTS: Mapping[str, Callable[[Path], Path]] = {
    "onnx": onnx,
    "torchscript": torchscript,
    "pytorch": pytorch,
    "monai-bundle": monai_bundle,
}
