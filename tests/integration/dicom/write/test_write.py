"""A job's objects: which ones, for whom, when, and the same at every attempt."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from orchestrator.dicom import (
    Grid,
    Syntax,
    WriteOptions,
    gather,
    identity_of,
    plan,
    read_instance,
    summarize,
    write_objects,
)
from orchestrator.domain.concepts import codes
from orchestrator.domain.errors import InvalidResult, UnsupportedInput
from orchestrator.domain.model import Accepts, Empty, Geometry
from orchestrator.domain.records import ObjectKind, ObjectRecord
from orchestrator.domain.result import Finding, Presence, Result, Segment
from tests.data.projection import cr_image, us_cine
from tests.data.series import ct_series
from tests.parts.dicom.written import (
    MODEL,
    Written,
    box,
    everything,
    everything_and_maps,
    heat_maps,
    job,
    left_breast,
    nothing,
    one_segment,
    placeless,
    write_result,
)

MUST_FIND = replace(MODEL, empty=Empty.FAILURE)


def contents(objects: tuple[ObjectRecord, ...]) -> list[tuple[str, bytes]]:
    return [(record.sop_uid, record.path.read_bytes()) for record in objects]


def write_again(ct: list[Path], folder: Path, result_of: Callable[[Grid], Result] = everything, **values: Any) -> Any:
    grid = plan(gather([read_instance(path) for path in ct]), Accepts())[0]
    given = {"job": job(), "model": MODEL, "folder": folder, "options": WriteOptions()} | values
    return write_objects([(grid, result_of(grid))], **given)


def test_the_same_job_twice_gives_the_same_bytes(ct: list[Path], tmp_path: Path) -> None:
    first = contents(write_again(ct, tmp_path / "first"))
    assert first == contents(write_again(list(reversed(ct)), tmp_path / "second"))


@pytest.mark.parametrize(
    "changed",
    [
        {"job": job(key="cd" * 32)},
        {"model": replace(MODEL, version="1.3")},
        {"options": WriteOptions(comprehensive_3d=False)},
        {"options": WriteOptions(syntax=Syntax.IMPLICIT)},
        {"result_of": one_segment},
        {"result_of": lambda grid: replace(everything(grid), notes={"grid": "2 mm"})},
    ],
    ids=["job", "model", "class of the SR", "transfer syntax", "masks", "notes"],
)
def test_other_work_or_content_gets_other_uids(ct: list[Path], tmp_path: Path, changed: dict[str, Any]) -> None:
    before = {record.sop_uid for record in write_again(ct, tmp_path / "before")}
    after = {record.sop_uid for record in write_again(ct, tmp_path / "after", **changed)}
    assert not before & after


def test_another_identity_gets_new_uids_and_is_written(ct: list[Path], tmp_path: Path) -> None:
    held = replace(identity_of(ct[0]), patient_id="MERGED-7", patient_name="Lee^Ann", accession_number="A-2")
    before = write_again(ct, tmp_path / "before")
    after = write_again(ct, tmp_path / "after", identity=held)
    assert not {record.sop_uid for record in before} & {record.sop_uid for record in after}
    assert all(not identity_of(record.path).differences(held) for record in after)


def test_records_name_files_by_uid_and_digest(ct: list[Path], tmp_path: Path) -> None:
    for record in write_again(ct, tmp_path):
        assert record.path.name == f"{record.sop_uid}.dcm"
        assert hashlib.sha256(record.path.read_bytes()).hexdigest() == record.sha256
    assert not list(tmp_path.glob(".*"))


def test_one_seg_for_each_grid_with_segments_and_one_sr(tmp_path: Path) -> None:
    images = [cr_image(tmp_path / "in", number=1), cr_image(tmp_path / "in", number=2, rows=64)]
    done = write_result(images, one_segment, tmp_path, geometry=Geometry.IMAGE)
    assert [record.kind for record in done.objects] == [ObjectKind.SEG, ObjectKind.SEG, ObjectKind.SR]
    assert len({record.series_uid for record in done.objects}) == 3


def test_an_empty_result_is_negative_where_the_manifest_says_so(ct: list[Path], tmp_path: Path) -> None:
    done = write_result(ct, nothing, tmp_path)
    assert [record.kind for record in done.objects] == [ObjectKind.SR]
    texts = [item.TextValue for item in done.read(ObjectKind.SR).ContentSequence if item.ValueType == "TEXT"]
    assert f"8 images of series {done.objects[0].study_uid and dcmread(ct[0]).SeriesInstanceUID}." in texts
    assert "Nothing found: Liver." in texts


@pytest.mark.parametrize(
    "result_of",
    [nothing, lambda _: Result(), lambda _: Result(findings=[Finding(codes["fracture"], Presence.ABSENT)])],
    ids=["empty mask", "nothing at all", "absent only"],
)
def test_a_model_that_must_find_something_has_failed_when_it_finds_nothing(
    ct: list[Path], tmp_path: Path, result_of: Callable[[Grid], Result]
) -> None:
    with pytest.raises(InvalidResult, match='set empty = "negative"'):
        write_result(ct, result_of, tmp_path / "out", model=MUST_FIND)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("result_of", [one_segment, placeless])
def test_a_model_that_must_find_something_may_find_it(
    ct: list[Path], tmp_path: Path, result_of: Callable[[Grid], Result]
) -> None:
    assert write_result(ct, result_of, tmp_path, model=MUST_FIND).objects


def test_a_mask_of_another_shape_is_refused(ct: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InvalidResult, match="shape"):
        write_result(ct, lambda _: Result(segments=[Segment("Liver", np.ones((2, 2, 2)), codes["liver"])]), tmp_path)


@pytest.mark.parametrize(
    ("model", "source", "written"),
    [
        ("RESEARCH", None, "RESEARCH"),
        ("PRODUCT", None, "PRODUCT"),
        ("", None, "RESEARCH"),
        ("PRODUCT", "RESEARCH", "RESEARCH"),
        ("PRODUCT", "SERVICE", "SERVICE"),
        ("RESEARCH", "PRODUCT", "RESEARCH"),
    ],
)
def test_the_more_cautious_qualification_of_model_and_source_counts(
    tmp_path: Path, model: str, source: str | None, written: str
) -> None:
    images = ct_series(tmp_path / "in", slices=2, rows=8, columns=8, attributes={"ContentQualification": source})
    done = write_result(images, one_segment, tmp_path, model=replace(MODEL, qualification=model))
    assert {dcmread(path).ContentQualification for path in done.paths} == {written}


@pytest.mark.parametrize(("offset", "time"), [("+0530", "153000.123456"), ("-0330", "063000.123456")])
def test_times_are_local_to_the_source(tmp_path: Path, offset: str, time: str) -> None:
    images = ct_series(tmp_path / "in", slices=2, rows=8, columns=8, attributes={"TimezoneOffsetFromUTC": offset})
    written = write_result(images, one_segment, tmp_path).read(ObjectKind.SEG)
    assert (written.TimezoneOffsetFromUTC, written.ContentTime, written.SeriesTime) == (offset, time, time)
    assert written.ContributingEquipmentSequence[0].ContributionDateTime == f"20250502{time}{offset}"


def test_without_a_zone_in_the_source_only_the_contribution_states_one(ct: list[Path], tmp_path: Path) -> None:
    written = write_result(ct, one_segment, tmp_path).read(ObjectKind.SEG)
    local = datetime(2025, 5, 2, 10, 0, 0, 123456, tzinfo=UTC).astimezone()
    assert "TimezoneOffsetFromUTC" not in written
    assert written.ContentTime == f"{local:%H%M%S.%f}"
    assert written.ContributingEquipmentSequence[0].ContributionDateTime == f"{local:%Y%m%d%H%M%S.%f%z}"


def test_dates_are_the_jobs(ct: list[Path], tmp_path: Path) -> None:
    created = datetime(2024, 2, 29, 12, tzinfo=UTC)
    done = write_result(ct, everything, tmp_path, created_at=created, updated_at=created + timedelta(days=3))
    for path in done.paths:
        written = dcmread(path)
        dates = {written.ContentDate, written.SeriesDate, written.InstanceCreationDate}
        assert dates == {f"{created.astimezone():%Y%m%d}"}


def test_texts_of_a_model_fit_whatever_they_hold(ct: list[Path], tmp_path: Path) -> None:
    odd = replace(
        MODEL, name="a model \\ with\na name that is far too long for any " + "x" * 60, manufacturer="", version=""
    )
    for path in write_result(ct, everything, tmp_path, model=odd).paths:
        written = dcmread(path)
        assert len(written.SeriesDescription) <= 64
        assert written.SeriesDescription.startswith("AI UNVERIFIED a model")
        assert all(
            (written.Manufacturer, written.ManufacturerModelName, written.DeviceSerialNumber, *written.SoftwareVersions)
        )


def test_series_numbers_are_stable_for_model_and_kind(ct: list[Path], tmp_path: Path) -> None:
    numbers = [
        [int(dcmread(path).SeriesNumber) for path in write_result(ct, everything, tmp_path / key, key=key * 64).paths]
        for key in "ab"
    ]
    assert numbers[0] == numbers[1]
    assert len(set(numbers[0])) == 2


def test_one_side_is_copied_and_mixed_sides_are_not(tmp_path: Path) -> None:
    left = {"BodyPartExamined": "BREAST", "ImageLaterality": "L"}
    one = [cr_image(tmp_path / "one", number=number, **left) for number in (1, 2)]
    written = write_result(one, heat_maps, tmp_path / "a", geometry=Geometry.IMAGE).read(ObjectKind.PM)
    assert _side(written) == ("L", "BREAST")
    both = [one[0], cr_image(tmp_path / "two", number=2, **(left | {"ImageLaterality": "R"}))]
    mixed = write_result(both, heat_maps, tmp_path / "b", geometry=Geometry.IMAGE).read(ObjectKind.PM)
    assert _side(mixed) == ("B", None)


STRICT = replace(MODEL, empty=Empty.FAILURE)


def test_a_map_alone_is_an_answer_of_a_model_that_must_find_something(ct: list[Path], tmp_path: Path) -> None:
    kinds = [record.kind for record in write_result(ct, heat_maps, tmp_path, model=STRICT).objects]
    assert kinds == [ObjectKind.PM, ObjectKind.PM, ObjectKind.SR]


def test_a_map_beside_an_empty_segment_does_not_make_a_find_of_it(ct: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InvalidResult, match="found nothing"):
        write_result(ct, lambda grid: replace(nothing(grid), maps=heat_maps(grid).maps), tmp_path, model=STRICT)


def test_images_that_can_carry_no_map_are_unsupported_by_a_model_of_maps(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedInput, match="lack orientation or pixel size"):
        write_result([us_cine(tmp_path / "in")], heat_maps, tmp_path, geometry=Geometry.IMAGE)


@pytest.mark.parametrize(
    ("stated", "cosines"),
    [
        (["L", "F"], (1, 0, 0, 0, 0, -1)),
        (["A", "FR"], (0, -1, 0, -(0.5**0.5), 0, -(0.5**0.5))),
        (["P", "H"], (0, 1, 0, 0, 0, 1)),
    ],
    ids=str,
)
def test_the_map_of_a_radiograph_is_turned_as_the_image_says(
    tmp_path: Path, stated: list[str], cosines: tuple[float, ...]
) -> None:
    source = cr_image(tmp_path / "in", PatientOrientation=stated)
    written = write_result([source], heat_maps, tmp_path, geometry=Geometry.IMAGE).read(ObjectKind.PM)
    shared = written.SharedFunctionalGroupsSequence[0]
    np.testing.assert_allclose(shared.PlaneOrientationSequence[0].ImageOrientationPatient, cosines, atol=1e-9)
    assert list(shared.PixelMeasuresSequence[0].PixelSpacing) == [0.2, 0.15]
    assert written.FrameOfReferenceUID != dcmread(source).get("FrameOfReferenceUID")


def test_slices_that_are_looked_at_one_by_one_get_a_map_with_their_directions(tmp_path: Path) -> None:
    slices = ct_series(tmp_path / "in", slices=3, orientation="oblique")
    written = write_result(slices, heat_maps, tmp_path, geometry=Geometry.IMAGE).read(ObjectKind.PM)
    stated = written.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient
    np.testing.assert_allclose(stated, dcmread(slices[0]).ImageOrientationPatient, atol=1e-9)


@pytest.mark.parametrize("stated", ["", ["L"], "LF", ["L", "L"], ["LE", "V"]], ids=str)
def test_a_radiograph_that_does_not_say_how_it_is_turned_gets_no_map(tmp_path: Path, stated: str | list[str]) -> None:
    source = cr_image(tmp_path / "in", PatientOrientation=stated)
    objects = write_result([source], everything_and_maps, tmp_path, geometry=Geometry.IMAGE).objects
    assert {record.kind for record in objects} == {ObjectKind.SEG, ObjectKind.SR}


def test_a_map_of_another_value_has_other_uids(ct: list[Path], tmp_path: Path) -> None:
    def warmer(grid: Grid) -> Result:
        first, second = heat_maps(grid).maps
        return Result(maps=[replace(first, values=first.values * 0.999), second])

    one, other = (write_result(ct, made, tmp_path / made.__name__) for made in (heat_maps, warmer))
    assert not {record.sop_uid for record in one.objects} & {record.sop_uid for record in other.objects}


def test_the_segments_and_not_their_series_say_the_side(tmp_path: Path) -> None:
    left = cr_image(tmp_path / "in", modality="MG")
    written = write_result([left], left_breast, tmp_path, geometry=Geometry.IMAGE).read(ObjectKind.SEG)
    anatomy = written.SegmentSequence[0].AnatomicRegionSequence[0]
    assert anatomy.AnatomicRegionModifierSequence[0].CodeMeaning == "Left"
    assert ("Laterality" in written, written.BodyPartExamined) == (False, "BREAST")


def _side(written: Dataset) -> tuple[str, str | None]:
    anatomy = written.SharedFunctionalGroupsSequence[0].FrameAnatomySequence[0]
    return anatomy.FrameLaterality, written.get("BodyPartExamined")


def test_the_volume_is_that_of_a_sheared_grid_too(tmp_path: Path) -> None:
    images = ct_series(tmp_path / "in", tilt_degrees=20.0, spacing=(2.0, 1.0, 0.5))
    done = write_result(images, one_segment, tmp_path)
    voxels = int(done.results[0].segments[0].mask.sum())
    assert volumes(done) == [pytest.approx(voxels * 2.0 * 1.0 * 0.5 / 1000)]


def test_a_stack_without_one_spacing_has_no_volume(tmp_path: Path) -> None:
    images = ct_series(tmp_path / "in", missing=[9])
    assert volumes(write_result(images, one_segment, tmp_path, geometry=Geometry.STACK)) == []


def test_overlapping_segments_are_written_as_they_are(ct: list[Path], tmp_path: Path) -> None:
    def overlapping(grid: Grid) -> Result:
        return Result(segments=[Segment(name, box(grid), codes["liver"]) for name in ("a", "b")])

    written = write_result(ct, overlapping, tmp_path, options=WriteOptions(label_map=True)).read(ObjectKind.SEG)
    assert (written.SegmentationType, written.SegmentsOverlap) == ("BINARY", "YES")


def volumes(done: Written) -> list[float]:
    return [float(str(each["value"])) for each in summarize(done.objects).measurements if each["name"] == "Volume"]
