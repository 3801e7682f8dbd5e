"""``orchestrator models check``: sound models keep the contract, and each way to break it is found and named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.app.models.contract import Mark, check_model
from orchestrator.config import Settings, load_settings
from orchestrator.domain.errors import UserError
from orchestrator.testing import synthetic_series
from tests.integration.app.models.conftest import Examined

TURNED = (
    *("instance numbers descending", "slices and columns reversed", "rows and columns reversed"),
    *("cut along its columns", "cut along its rows", "patient lying oblique"),
)


@pytest.fixture(scope="session")
def settings(weights: Path) -> Settings:
    return load_settings(None, {"ORCHESTRATOR_MODELS__WEIGHTS": str(weights)})


def failed(clauses: dict) -> set[str]:
    return {name for name, clause in clauses.items() if clause.mark is Mark.FAILED}


@pytest.mark.parametrize("model", ["bone-volume", "bone-volume-onnx"])
def test_the_shipped_bone_models_keep_every_clause_that_applies(model: str, settings: Settings) -> None:
    report = check_model(model, settings)
    assert {clause.name for clause in report.clauses if clause.mark is not Mark.PASSED} == {"MONOCHROME1"}
    assert {*TURNED, "multi-frame", "missing slice"} <= {clause.name for clause in report.clauses}
    assert not report.failed


def test_a_report_is_json_and_tells_each_clause_as_it_goes(settings: Settings) -> None:
    told: list[str] = []
    report = check_model("bone-volume", settings, report=lambda clause: told.append(clause.name))
    document = json.loads(json.dumps(report.to_json()))
    assert [check["name"] for check in document["checks"]] == told
    assert (document["model"], document["passed"]) == ("bone-volume", True)


def test_a_mask_that_was_not_turned_back_is_called_mirrored(examined: Examined) -> None:
    clauses = examined("""
        class Model(Subject):
            def marked(self, volume):
                return np.flip(volume.voxels, 2) > 300
    """)
    assert clauses["known lesion"].mark is Mark.FAILED
    assert "the bright lesion mirrored left-right" in clauses["known lesion"].says


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        ("mask[:, :, : mask.shape[2] // 2] = 0", {"slices and columns reversed", "rows and columns reversed"}),
        ("mask[: len(mask) // 2] = 0", {"slices and columns reversed", "cut along its columns"}),
    ],
    ids=["columns", "slices"],
)
def test_a_model_that_takes_axes_for_directions_is_found(wrong: str, found: set[str], examined: Examined) -> None:
    clauses = examined(f"""
        class Model(Subject):
            def marked(self, volume):
                mask = volume.voxels > 300
                {wrong}
                return mask
    """)
    assert clauses["known lesion"].mark is Mark.PASSED
    assert found <= failed(clauses) <= {*TURNED, "anisotropic pixels"}
    assert all("read Volume.affine" in clauses[name].says for name in found)


def test_a_model_that_asks_the_affine_for_the_patients_left_passes_whatever_it_prints(examined: Examined) -> None:
    clauses = examined("""
        class Model(Subject):
            def marked(self, volume):
                print('{"error": "raised"}', flush=True)
                axis = int(np.abs(volume.affine[0, :3]).argmax())
                half = np.arange(volume.shape[axis]) >= volume.shape[axis] / 2
                left = half if volume.affine[0, axis] > 0 else half[::-1]
                return (volume.voxels > 300) & left.reshape([-1 if each == axis else 1 for each in range(3)])
    """)
    assert failed(clauses) == set()
    assert "which are in neither log nor result" in clauses["prints"].says


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("return np.random.default_rng().random(volume.shape) > 0.5", "differs: Dice 0."),
        ("return (volume.voxels > 300) | (SEEDED[: volume.shape[0]] > 0.5)", "in a new process"),
    ],
    ids=["each time", "each process"],
)
def test_a_model_that_does_not_repeat_itself_is_found_and_compared_no_further(
    source: str, says: str, examined: Examined
) -> None:
    clauses = examined(f"""
        SEEDED = np.random.default_rng().random((64, 1, 1))

        class Model(Subject):
            def marked(self, volume):
                {source}
    """)
    assert failed(clauses) == {"same input, same result"}
    assert says in clauses["same input, same result"].says
    assert {clauses[name].mark for name in TURNED} == {Mark.NOT_APPLICABLE}


def test_a_score_that_drifts_is_found(examined: Examined) -> None:
    clauses = examined("""
        class Model(Subject):
            seen = 0
            def predict(self, volume):
                self.seen += 1
                return Result(findings=[Finding(codes["fracture"], score=0.1 * self.seen)])
    """)
    assert failed(clauses) == {"same input, same result"}
    assert "the score of 'Fracture' is 0.100, and 0." in clauses["same input, same result"].says


@pytest.mark.parametrize(
    ("body", "clause", "says"),
    [
        ("volume.voxels[1]", "one slice", "IndexError"),
        ("assert volume.voxels.std() > 0", "all background", "AssertionError"),
        ("assert volume.spacing[1] == volume.spacing[2] * 1.2", "anisotropic pixels", "AssertionError"),
    ],
)
def test_a_model_that_breaks_on_odd_input_is_found(body: str, clause: str, says: str, examined: Examined) -> None:
    clauses = examined(f"""
        class Model(Subject):
            def marked(self, volume):
                {body}
                return volume.voxels > 300
    """)
    assert clauses[clause].mark is Mark.FAILED
    assert says in clauses[clause].says


def test_a_model_that_refuses_odd_input_in_words_passes(examined: Examined) -> None:
    clauses = examined("""
        class Model(Subject):
            accepts = Accepts(minimum_slices=4)
            def marked(self, volume):
                if volume.voxels.std() == 0:
                    raise UnsupportedInput("there is nothing to see")
                return volume.voxels > 300
    """)
    assert failed(clauses) == set()
    assert clauses["all background"].says == "refused by the model: there is nothing to see"
    assert clauses["one slice"].says.startswith(
        "refused by the host: the series has 1 slice, the model needs at least 4"
    )


def test_a_result_that_the_host_will_not_write_is_found(examined: Examined) -> None:
    clauses = examined("""
        class Model(Subject):
            def predict(self, volume):
                left = volume.voxels > 300
                return Result([Segment("Bone", left, codes["bone"], laterality=codes["right"])])
    """)
    assert clauses["valid SEG and SR"].mark is Mark.FAILED
    assert "Bone" in clauses["valid SEG and SR"].says


def test_memory_beyond_what_is_declared_is_found(examined: Examined) -> None:
    clauses = examined("""
        import mmap, os
        class Model(Subject):
            resources = Resources(memory_mb=128)
            def marked(self, volume):
                shared = mmap.mmap(-1, 160 << 20)  # shared memory is not bounded by RLIMIT_DATA
                np.frombuffer(shared, np.uint8)[:] = 1
                return volume.voxels > 300
    """)
    assert failed(clauses) == {"memory"}
    assert "memory_mb is 128" in clauses["memory"].says


def test_a_model_that_does_not_load_ends_the_run_with_its_words(examined: Examined) -> None:
    clauses = examined("""
        class Model(Subject):
            def load(self, weights, device):
                raise RuntimeError("no such layer")
    """)
    assert list(clauses) == ["declares", "loads"]
    assert "no such layer" in clauses["loads"].says


def test_a_model_of_images_must_not_invert_what_the_host_has_inverted(examined: Examined) -> None:
    clauses = examined("""
        class Model(Subject):
            intended = Intended(modality=("CR",))
            accepts = Accepts(geometry=Geometry.IMAGE)
            def marked(self, volume):
                voxels = volume.voxels.astype(int)
                if volume.facts.get("PhotometricInterpretation") == "MONOCHROME1":
                    voxels = voxels.max() - voxels
                return voxels > 2000
    """)
    assert failed(clauses) == {"MONOCHROME1"}
    assert clauses["known lesion"].mark is Mark.PASSED
    assert clauses["patient lying oblique"].mark is Mark.NOT_APPLICABLE


FUSSY = """
    class Model(Subject):
        def marked(self, volume):
            if volume.shape[0] != 20:
                raise UnsupportedInput("20 slices are a head")
            mask = volume.voxels > 300
            {more}
            return mask
"""


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    synthetic_series(folder, slices=20, rows=64, columns=48, orientation="sagittal", intercept=-1024.0)
    return folder


def test_a_refusal_of_the_phantom_is_told_and_ones_own_images_are_checked(images: Path, examined: Examined) -> None:
    clauses = examined(FUSSY.format(more=""), images)
    assert failed(clauses) == set()
    assert clauses["slices and columns reversed"].mark is Mark.PASSED
    assert clauses["slices and columns reversed"].series.startswith("series …")
    assert clauses["cut along its rows"].says == "refused: 20 slices are a head"


def test_a_wrong_orientation_is_found_on_ones_own_images(images: Path, examined: Examined) -> None:
    clauses = examined(FUSSY.format(more="mask[:, :, : mask.shape[2] // 2] = 0"), images)
    assert "slices and columns reversed" in failed(clauses)


def test_all_clauses_of_a_refused_phantom_say_why(examined: Examined) -> None:
    clauses = examined(FUSSY.format(more=""))
    assert {clauses[name].says for name in ("runs", *TURNED)} == {"refused: 20 slices are a head"}
    assert {clauses[name].mark for name in ("runs", *TURNED)} == {Mark.NOT_APPLICABLE}


def test_a_model_that_is_not_there_is_named(settings: Settings) -> None:
    with pytest.raises(UserError, match="no model is named 'bone-volum'"):
        check_model("bone-volum", settings)


MAPPING = """
    class Model(Subject):
        def predict(self, volume):
            values = volume.voxels.astype(np.float32)
            {change}
            return Result(maps=[HeatMap("Density", values, volume.unit)])
"""


def test_a_model_that_outputs_a_map_keeps_every_clause_that_applies(examined: Examined) -> None:
    clauses = examined(MAPPING.format(change=""))
    assert not failed(clauses)
    assert clauses["valid SEG and SR"].says == "1 PM and 1 SR"
    assert clauses["patient lying oblique"].says == "agrees: Density (within 0.0%)"


def test_a_map_that_is_not_turned_with_the_patient_is_found(examined: Examined) -> None:
    clauses = examined(MAPPING.format(change="values[: len(values) // 2] = 0"))
    assert {"slices and columns reversed", "cut along its columns"} <= failed(clauses)
    assert "map 'Density' differs by" in clauses["slices and columns reversed"].says


def test_a_map_that_is_another_each_time_is_found(examined: Examined) -> None:
    clauses = examined(MAPPING.format(change="values += np.random.default_rng().random(values.shape, np.float32)"))
    assert "map 'Density' differs, by at most" in clauses["same input, same result"].says
