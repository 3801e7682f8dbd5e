"""A model run in its author's test: the host's rules hold, and a failed assertion says how the mask differs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from orchestrator.domain.errors import InvalidResult, UnsupportedInput
from orchestrator.sdk import Accepts, Finding, Geometry, Intended, Result, Segment, Volume, codes
from orchestrator.testing import assert_finds, assert_finds_nothing, run_model, synthetic_images, synthetic_series

SMALL = {"slices": 8, "rows": 24, "columns": 20, "spacing": (3.0, 1.5, 1.5)}


class Dense:
    name, version = "dense", "1"
    intended = Intended(modality=("CT",))

    def predict(self, volume: Volume) -> Result:
        return Result([Segment("Dense", self.marked(volume.voxels > 200), codes["bone"])])

    def marked(self, dense: np.ndarray) -> np.ndarray:
        return dense


class Mirrored(Dense):
    def marked(self, dense: np.ndarray) -> np.ndarray:
        return dense[:, :, ::-1]


@pytest.mark.parametrize("orientation", ["axial", "oblique", "sagittal"])
def test_a_model_that_marks_the_lesion_passes(tmp_path: Path, orientation: str) -> None:
    series = synthetic_series(tmp_path, orientation=orientation, **SMALL)
    assert_finds(run_model(Dense(), series), series, dice=1.0, label="Dense")


def test_a_multi_frame_object_is_the_same_series(tmp_path: Path) -> None:
    series = synthetic_series(tmp_path, multi_frame=True, **SMALL)
    assert len(series.paths) == 1
    assert_finds(run_model(Dense(), series), series, dice=1.0)


def test_the_assertion_says_how_the_mask_differs(tmp_path: Path) -> None:
    series = synthetic_series(tmp_path, **SMALL | {"columns": 40})
    with pytest.raises(AssertionError, match=r"'Dense' overlaps the lesion with Dice 0\.\d+, not 0\.9: "):
        assert_finds(run_model(Mirrored(), series), series)


def test_a_segment_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    series = synthetic_series(tmp_path, **SMALL)
    with pytest.raises(AssertionError, match=r"no segment 'Liver'; it has \['Dense'\]"):
        assert_finds(run_model(Dense(), series), series, label="Liver")


def test_a_mask_may_be_given_instead_of_a_series(tmp_path: Path) -> None:
    series = synthetic_series(tmp_path, **SMALL)
    with pytest.raises(AssertionError, match="Dice 0"):
        assert_finds(run_model(Dense(), series), ~series.mask)


def test_finding_nothing_is_asserted_by_what_was_found(tmp_path: Path) -> None:
    series = synthetic_series(tmp_path, values=(-1000, 40, 40), **SMALL)
    assert_finds_nothing(run_model(Dense(), series))
    found = Result([Segment("Dense", series.mask, codes["bone"])], [Finding(codes["fracture"])])
    with pytest.raises(AssertionError, match="expected nothing, found segment 'Dense', finding 'Fracture'"):
        assert_finds_nothing(found)


def test_another_modality_is_refused_as_by_the_host(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedInput, match="modality is MR"):
        run_model(Dense(), synthetic_series(tmp_path, modality="MR", **SMALL))


def test_what_the_model_takes_holds_as_in_the_host(tmp_path: Path) -> None:
    model = Dense()
    model.accepts = Accepts(minimum_slices=20)
    with pytest.raises(UnsupportedInput, match="8 slices, the model needs at least 20"):
        run_model(model, synthetic_series(tmp_path, **SMALL))


def test_a_mask_of_another_grid_is_refused_as_by_the_host(tmp_path: Path) -> None:
    class Cut(Dense):
        def marked(self, dense: np.ndarray) -> np.ndarray:
            return dense[1:]

    with pytest.raises(InvalidResult, match="shape"):
        run_model(Cut(), synthetic_series(tmp_path, **SMALL))


def test_voxels_cannot_be_written_to(tmp_path: Path) -> None:
    class Writes(Dense):
        def predict(self, volume: Volume) -> Result:
            volume.voxels[0] = 0
            return Result()

    with pytest.raises(ValueError, match="read-only"):
        run_model(Writes(), synthetic_series(tmp_path, **SMALL))


def test_a_model_is_loaded_with_its_weights(tmp_path: Path) -> None:
    class Loads(Dense):
        def load(self, weights: Path | None, device: str) -> None:
            self.told = (weights, device)

    model = Loads()
    run_model(model, synthetic_series(tmp_path / "series", **SMALL), weights=tmp_path)
    assert model.told == (tmp_path, "cpu")


def test_a_manifest_says_what_the_class_leaves_out(tmp_path: Path) -> None:
    class Nameless:
        def predict(self, volume: Volume) -> Result:
            return Result()

    (tmp_path / "model.toml").write_text(
        'contract = 1\nname = "n"\nversion = "1"\nruntime = "python"\ninput = { modality = "MR" }\n'
    )
    with pytest.raises(UnsupportedInput, match="modality is CT"):
        run_model(Nameless(), synthetic_series(tmp_path / "series", **SMALL), manifest=tmp_path / "model.toml")


@pytest.mark.parametrize("modality", ["CR", "DX", "MG", "US", "OT"])
def test_images_without_a_place_are_given_as_they_look(tmp_path: Path, modality: str) -> None:
    class Bright:
        name, version = "bright", "1"
        accepts = Accepts(geometry=Geometry.IMAGE)

        def predict(self, volume: Volume) -> Result:
            voxels = volume.voxels
            return Result([Segment("Bright", voxels > voxels.max() // 2, codes["bone"])])

    images = synthetic_images(tmp_path, modality=modality, images=2)
    assert_finds(run_model(Bright(), images), images, dice=1.0)
