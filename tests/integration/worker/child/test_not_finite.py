"""A network whose numbers overflow never says "nothing found": the job fails and names the output."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from orchestrator.app.models.contract import ContractReport, Mark
from orchestrator.app.models.contract.bench import Bench
from orchestrator.app.models.contract.checking import examine
from orchestrator.domain.errors import InvalidResult
from orchestrator.worker import Workers, discover
from tests.integration.worker.child.networks import (
    SAME,
    infinity_above,
    mean_score,
    nan_above,
    nan_everywhere,
    write_detector,
    write_model,
)
from tests.integration.worker.conftest import Predict

SEGMENT = 'segment = [{ label = "Lesion", type = "lesion", category = "abnormal structure" }]\n'
MAP = 'map = [{ name = "Copy" }]\n'
FINDING = '[[finding]]\nname = "lung nodule"\nthreshold = 0.5\n'
DETECTION = 'detection = { boxes = "boxes", scores = "scores" }\n' + FINDING
BRIGHT = 300
"""Only the lesion is brighter."""

NETWORKS = {
    "NaN everywhere": nan_everywhere,
    "NaN in the lesion": lambda output="y": nan_above(BRIGHT, output),
    "infinity in the lesion": lambda output="y": infinity_above(BRIGHT, output),
}
HOW = [
    "",
    "output = { activation = 'sigmoid', threshold = 1.0 }",
    "output = { activation = 'argmax' }",
    "output = { activation = 'softmax', threshold = 1.0 }",
    "input = { patch = [4, 4, 4], overlap = 0.5 }",
    "input = { spacing = [3.0, 2.0, 2.0] }",
    "input = { orientation = 'RAS' }",
]


@pytest.fixture
def image() -> npt.NDArray[np.int16]:
    """Return a dark volume with a bright lesion of 12 voxels."""
    voxels = np.zeros((6, 8, 10), np.int16)
    voxels[2:5, 3:5, 4:6] = 1000
    return voxels


def report(folder: Path, work: Path) -> ContractReport:
    """Return the contract run of a model folder."""
    workers = Workers(discover([folder], entry_points=False), sandbox="required", weights=work / "weights")
    with closing(workers):
        bench = Bench(workers, folder.name)
        (work / "contract").mkdir()
        return ContractReport(bench.model, tuple(examine(bench, [], work / "contract")))


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("network", NETWORKS)
def test_a_mask_of_numbers_that_are_not_finite_is_refused(
    predict: Predict, tmp_path: Path, image: npt.NDArray[Any], network: str, how: str
) -> None:
    folder = write_model(tmp_path / "m", f"{how}\n{SEGMENT}", **NETWORKS[network]())
    with pytest.raises(InvalidResult, match=r"^output 'y' holds \d+ values? of \d+ that (is|are) not (a )?finite"):
        predict(folder, image)


@pytest.mark.parametrize("network", NETWORKS)
def test_so_are_a_map_and_a_score(predict: Predict, tmp_path: Path, image: npt.NDArray[Any], network: str) -> None:
    folder = write_model(tmp_path / "map", MAP, **NETWORKS[network]())
    with pytest.raises(InvalidResult, match=r"^output 'y' holds"):
        predict(folder, image)
    score = write_model(tmp_path / "score", FINDING, **mean_score(NETWORKS[network]("map")))
    with pytest.raises(InvalidResult, match=r"^output 'y' holds 1 value of 1 that is not a finite number"):
        predict(score, image)


def test_the_sentence_says_how_many_and_what_to_do(predict: Predict, tmp_path: Path, image: npt.NDArray[Any]) -> None:
    folder = write_model(tmp_path / "m", SEGMENT, **nan_above(BRIGHT))
    with pytest.raises(InvalidResult) as fault:
        predict(folder, image)
    assert str(fault.value) == (
        "output 'y' holds 12 values of 480 that are not finite numbers (NaN or infinity); "
        "the model's numbers overflow: run it in float32 or check its weights"
    )


def test_a_large_number_that_the_blending_makes_infinite_is_refused(predict: Predict, tmp_path: Path) -> None:
    how = "input = { patch = [3, 3, 3], overlap = 0.7 }\n"
    voxels = np.full((5, 5, 5), 3e38, np.float32)
    with pytest.raises(InvalidResult, match=r"^the output after activation, blending and resampling holds"):
        predict(write_model(tmp_path / "m", how + SEGMENT, SAME), voxels)


@pytest.mark.parametrize("faulty", ["scores", "boxes"])
def test_so_are_boxes_and_their_scores(predict: Predict, tmp_path: Path, image: npt.NDArray[Any], faulty: str) -> None:
    folder = write_detector(tmp_path / "m", DETECTION, bright=BRIGHT, faulty=faulty)
    with pytest.raises(InvalidResult, match=f"^output '{faulty}' holds"):
        predict(folder, image)


@pytest.mark.parametrize(
    ("rest", "network"),
    [
        (SEGMENT, nan_everywhere()),
        (SEGMENT, nan_above(BRIGHT)),
        (FINDING, mean_score(nan_everywhere("map"))),
        (FINDING, mean_score(nan_above(BRIGHT, "map"))),
    ],
)
def test_models_check_reports_it(tmp_path: Path, rest: str, network: dict[str, Any]) -> None:
    folder = write_model(tmp_path / "m", 'intended = { modality = ["CT"] }\n' + rest, **network)
    (runs,) = [clause for clause in report(folder, tmp_path).clauses if clause.mark is Mark.FAILED]
    assert runs.name == "runs"
    assert "output 'y' holds" in runs.says


def test_models_check_reports_it_of_boxes(tmp_path: Path) -> None:
    folder = write_detector(
        tmp_path / "m", 'intended = { modality = ["CT"] }\n' + DETECTION, bright=BRIGHT, faulty="scores"
    )
    (runs,) = [clause for clause in report(folder, tmp_path).clauses if clause.mark is Mark.FAILED]
    assert "output 'scores' holds" in runs.says
