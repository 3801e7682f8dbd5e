"""The real networks on the average T1 of many heads, on what is made of it, and on what is no head."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from orchestrator_brain_mask import BrainMask

from orchestrator.domain.volume import Volume
from orchestrator.sdk import UnsupportedInput
from orchestrator.testing import read_series
from orchestrator.worker import Workers, weights_folder

pytestmark = [pytest.mark.xdist_group("brain-mask"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def folder(workers: Workers, weights: Path) -> Path:
    found = weights_folder(workers.catalogue_entry("brain-mask"), weights)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def model(folder: Path) -> BrainMask:
    loaded = BrainMask()
    loaded.load(folder, "cpu")
    return loaded


@pytest.fixture(scope="module")
def head(samples: Path) -> Volume:
    return read_series(sorted((samples / "mr-head").glob("*.dcm")))


@pytest.fixture(scope="module")
def brain(model: BrainMask, head: Volume) -> np.ndarray:
    return np.asarray(model.predict(head).segments[0].mask)


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def like(head: Volume, voxels: np.ndarray, affine: np.ndarray | None = None) -> Volume:
    return Volume(np.ascontiguousarray(voxels), head.affine if affine is None else affine, modality="MR")


@pytest.mark.parametrize(
    ("name", "mean", "deviation", "inside"),
    [("coarse.onnx", 0.12219, 0.31735, 31798), ("fine.onnx", 0.29926, 0.4515, 78385)],
)
def test_the_converted_networks_compute_what_torch_computed(folder, name, mean, deviation, inside):
    """The numbers are torch 2.13's, of the TorchScript files of deepbet 1.0.2 on the same input."""
    cube = (np.random.default_rng(7).standard_normal((64, 64, 64)) * 0.226 + 0.449).astype(np.float32)
    session = onnxruntime.InferenceSession(folder / name, providers=["CPUExecutionProvider"])
    probability = session.run(None, {"volume": cube[np.newaxis, np.newaxis]})[0][0, 1]
    assert (probability.mean(), probability.std()) == pytest.approx((mean, deviation), abs=1e-4)
    assert np.count_nonzero(probability > 0.5) == pytest.approx(inside, abs=10)


def test_a_head_goes_through_the_cage_and_comes_back_with_brain_and_volume(workers, head, brain, tmp_path):
    voxels = workers.allocate(tmp_path, head.shape, head.voxels.dtype)
    voxels[:] = head.voxels
    given = Volume(voxels, head.affine, modality="MR", facts=head.facts)
    result = workers.predict("brain-mask", given, tmp_path).result
    (volume,) = result.measurements
    assert volume.value == pytest.approx(1396, abs=5)
    np.testing.assert_array_equal(result.segments[0].mask.astype(bool), brain)


def test_the_brain_lies_in_the_head(head, brain):
    inside, outside = head.voxels[brain], head.voxels[~brain]
    assert np.median(inside) > 2 * np.median(outside)
    centre = head.affine[:3] @ [*np.argwhere(brain).mean(axis=0), 1]
    assert abs(centre[0]) < 15  # the head's middle is the grid's; the nose is not taken in
    assert -25 < centre[1] < 25


def test_a_mirrored_volume_with_exchanged_axes_gives_the_same_brain(model, head, brain):
    order = (2, 0, 1)
    affine = head.affine.copy()
    affine[:3, :3] = head.affine[:3, list(order)]
    affine[:3, 3] += affine[:3, 0] * (head.shape[order[0]] - 1)
    affine[:3, 0] *= -1
    found = model.predict(like(head, head.voxels.transpose(order)[::-1], affine)).segments[0].mask
    assert dice(found[::-1].transpose(np.argsort(order)), brain) > 0.9999


def test_slices_four_times_as_thick_give_nearly_the_same_brain(model, head, brain):
    thick = head.voxels.reshape(-1, 4, *head.shape[1:]).mean(axis=1).astype(np.int16)
    affine = head.affine.copy()
    affine[:3, 3] += affine[:3, 0] * 1.5
    affine[:3, 0] *= 4
    found = model.predict(like(head, thick, affine)).segments[0].mask
    assert dice(np.repeat(found, 4, axis=0), brain) > 0.98


def inverted(head: Volume) -> np.ndarray:
    return np.where(head.voxels > 30, np.clip(300 - head.voxels.astype(int), 0, None), 0).astype(np.int16)


def noise(head: Volume) -> np.ndarray:
    return np.random.default_rng(6).integers(0, 1000, head.shape).astype(np.int16)


def chest(head: Volume) -> np.ndarray:
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, count) for count in head.shape], indexing="ij")
    body = (x / 0.9) ** 2 + (y / 0.9) ** 2 + (z / 0.7) ** 2 < 1
    lungs = ((np.abs(x) - 0.42) / 0.3) ** 2 + (y / 0.6) ** 2 + (z / 0.5) ** 2 < 1
    tissue = np.where(body, 400, 0) * np.where(lungs, 0.1, 1)
    return (tissue + np.random.default_rng(8).normal(0, 20, head.shape)).astype(np.int16)


@pytest.mark.parametrize("made", [inverted, noise, chest], ids=lambda made: made.__name__)
def test_what_is_no_t1_of_a_head_is_refused(model, head, made: Callable[[Volume], np.ndarray]):
    with pytest.raises(UnsupportedInput) as refusal:
        model.predict(like(head, made(head)))
    assert refusal.value.fault == "refused-by-model"


def test_the_inside_of_a_skull_on_ct_is_refused_though_the_networks_find_a_brain_there(model, samples):
    ct = read_series(sorted((samples / "ct-head").glob("*.dcm")))
    bone = Volume(np.where(ct.voxels > 300, ct.voxels, 0), ct.affine, modality="MR")
    with pytest.raises(UnsupportedInput, match=r"no folds|no contrast|not brighter"):  # size and form were a brain's
        model.predict(bone)


def test_a_part_of_a_head_is_refused(model, head):
    with pytest.raises(UnsupportedInput):
        model.predict(like(head, head.voxels[:, :110]))
