"""Images are named and ordered as a PACS names and orders them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from orchestrator.dicom import Overlay, WriteOptions
from orchestrator.dicom.headers.image_name import image_name, view_name
from orchestrator.dicom.objects.provenance import series_description
from orchestrator.domain.model import Geometry
from orchestrator.domain.records import ObjectKind
from tests.data.enhanced import enhanced_ct
from tests.data.faults import change
from tests.data.projection import cr_image
from tests.data.series import ct_series
from tests.parts.dicom.written import MODEL, Written, one_segment, write_result

EVERY_OBJECT = WriteOptions(objects=frozenset(ObjectKind) - {ObjectKind.OTHER})


def overlay_of(done: Written) -> Overlay:
    return Overlay.open(list(done.sources), done.paths)


def comments(document: Dataset) -> list[str]:
    found: list[str] = []
    document.walk(lambda _, each: found.append(str(each.value)) if each.keyword == "TextValue" else None)
    return [text for text in found if text.startswith("Marked on")]


@pytest.mark.parametrize("direction", [1, -1])
def test_slices_are_shown_in_the_order_of_their_numbers(tmp_path: Path, direction: int) -> None:
    paths = ct_series(tmp_path / "in", slices=4, rows=16, columns=16)
    numbers = [104 + direction * place for place in range(4)]
    for path, number in zip(paths, numbers, strict=True):
        change([path], lambda dataset, number=number: dataset.update({"InstanceNumber": number}))  # type: ignore[misc]
    overlay = overlay_of(write_result(paths, one_segment, tmp_path / "out"))
    assert overlay.names == tuple(f"image {number}" for number in sorted(numbers))


def test_the_report_says_on_which_image_it_marked_something(tmp_path: Path) -> None:
    paths = ct_series(tmp_path / "in", slices=4, rows=16, columns=16)
    change(paths, lambda dataset: dataset.update({"InstanceNumber": int(dataset.InstanceNumber) + 200}))
    done = write_result(paths, one_segment, tmp_path / "out")
    overlay = overlay_of(done)
    assert comments(done.read(ObjectKind.SR)) == [f"Marked on {overlay.names[overlay.best_slice]}."]


def test_frames_have_their_numbers(tmp_path: Path) -> None:
    path = enhanced_ct(tmp_path / "in", slices=4, rows=16, columns=16)
    overlay = overlay_of(write_result([path], one_segment, tmp_path / "out"))
    assert sorted(overlay.names) == [f"frame {number}" for number in (1, 2, 3, 4)]


def test_a_view_of_the_breast_is_named_by_side_and_view(tmp_path: Path) -> None:
    view = {"ImageLaterality": "R", "ViewPosition": "MLO"}
    path = cr_image(tmp_path / "in", modality="MG", **view)
    done = write_result([path], one_segment, tmp_path / "out", geometry=Geometry.IMAGE)
    assert overlay_of(done).names == ("R MLO",)
    assert comments(done.read(ObjectKind.SR)) == ["Marked on R MLO."]


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({}, ""),
        ({"InstanceNumber": (7,)}, "image 7"),
        ({"InstanceNumber": ("seven",)}, ""),
        ({"Modality": ("DX",), "ViewPosition": ("LL",), "InstanceNumber": (2,)}, "LL"),
        ({"Modality": ("DX",), "InstanceNumber": (2,)}, "image 2"),
        ({"Modality": ("CT",), "Laterality": ("L",), "InstanceNumber": (2,)}, "image 2"),
    ],
    ids=str,
)
def test_what_an_image_states_is_its_name(headers: dict, name: str) -> None:
    assert image_name(headers, None) == name


def test_a_view_that_is_stated_as_a_code_only_is_named(tmp_path: Path) -> None:
    path = cr_image(tmp_path / "in", modality="MG", ImageLaterality="L", ViewPosition=None)  # its code: MLO
    done = write_result([path], one_segment, tmp_path / "out", geometry=Geometry.IMAGE)
    assert overlay_of(done).names == ("L MLO",)


def test_an_unpaired_organ_has_no_side() -> None:
    assert view_name({"ImageLaterality": ("U",), "ViewPosition": ("PA",)}) == "PA"


@pytest.mark.parametrize("kind", [ObjectKind.SEG, ObjectKind.SR, ObjectKind.SC, ObjectKind.KO, ObjectKind.PR])
def test_the_description_of_a_series_names_side_and_view(tmp_path: Path, kind: ObjectKind) -> None:
    views = [{"ImageLaterality": side, "ViewPosition": view} for side in "RL" for view in ("CC", "MLO")]
    paths = [cr_image(tmp_path / "in", number=at, modality="MG", **view) for at, view in enumerate(views, 1)]
    done = write_result(paths, one_segment, tmp_path / "out", geometry=Geometry.IMAGE, options=EVERY_OBJECT)
    for path in done.paths_of(kind):
        description = dcmread(path).SeriesDescription
        assert description.startswith("AI UNVERIFIED ")
        assert " L CC, L MLO, R CC, R MLO " in description
        assert len(description) <= 64


def test_a_series_of_many_views_has_their_number_in_its_description() -> None:
    views = [f"{side} {view}" for side in "LR" for view in ("CC", "MLO", "ML", "XCCL")]
    assert series_description(MODEL, "SEG", views) == f"AI UNVERIFIED {MODEL.name} 8 views SEG"


def test_edges_have_the_letters_of_the_patient(tmp_path: Path) -> None:
    """The letters differ, so that the pictures of an image and of its twin seen from the other side differ there."""
    drawn = {}
    for right in ("L", "R"):
        path = cr_image(tmp_path / right, rows=64, columns=64, PatientOrientation=[right, "F"])
        done = write_result([path], one_segment, tmp_path / f"out {right}", geometry=Geometry.IMAGE)
        drawn[right] = overlay_of(done).picture(0).pixels.astype(int)
    height, width, _ = drawn["L"].shape
    differs = np.argwhere(np.abs(drawn["L"] - drawn["R"]).max(axis=2) > 0)
    rows, columns = differs[:, 0], differs[:, 1]
    assert len(differs)
    assert (np.abs(rows - height / 2) < height / 20).all()
    assert (np.minimum(columns, width - columns) < width / 20).all()
