"""The test kit for plugin authors: synthetic DICOM with a known lesion, and checks of a model's result.

    series = synthetic_series(tmp_path, slices=30, orientation="oblique")
    assert_finds(run_model(MyModel(), series), series, dice=0.95)

Headers and anatomy are synthetic: an ellipse of tissue with one bright lesion on the patient's left.
docs/reference/testing-kit.md is the reference.
"""

from orchestrator.testing.agreement import dice, difference, onto
from orchestrator.testing.enhanced import enhanced
from orchestrator.testing.headers import Patient
from orchestrator.testing.model_checks import assert_finds, assert_finds_nothing, run_model
from orchestrator.testing.phantom import ORIENTATIONS, Lesion, Phantom
from orchestrator.testing.pixels import encode, put_pixels
from orchestrator.testing.projection import Projection
from orchestrator.testing.series import (
    SyntheticImages,
    SyntheticSeries,
    read_series,
    synthetic_images,
    synthetic_series,
)
from orchestrator.testing.stack import Stack

__all__ = [
    "ORIENTATIONS",
    "Lesion",
    "Patient",
    "Phantom",
    "Projection",
    "Stack",
    "SyntheticImages",
    "SyntheticSeries",
    "assert_finds",
    "assert_finds_nothing",
    "dice",
    "difference",
    "encode",
    "enhanced",
    "onto",
    "put_pixels",
    "read_series",
    "run_model",
    "synthetic_images",
    "synthetic_series",
]
