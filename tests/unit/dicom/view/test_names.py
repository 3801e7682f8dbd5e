"""Images are named and ordered as a PACS names and orders them."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import Dataset

from orchestrator.dicom import Overlay
from orchestrator.dicom.read.image_name import image_name
from orchestrator.domain.model import Geometry
from orchestrator.domain.records import ObjectKind
from tests.data.enhanced import enhanced_ct
from tests.data.faults import change
from tests.data.projection import cr_image
from tests.data.series import ct_series
from tests.parts.dicom.written import Written, one_segment, write_result


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
