"""Whatever shows a result follows from it: the same job twice gives the same bytes, other content other UIDs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread

from orchestrator.dicom import Grid, Syntax, WriteOptions
from orchestrator.dicom.objects.write_options import WORDS, advice, distinct, fit_settings, setting_text
from orchestrator.domain.concepts import codes
from orchestrator.domain.records import ObjectKind
from orchestrator.domain.result import Finding, Region, Result, Segment
from tests.parts.dicom.written import MODEL, Written, everything, write_result

ALL = WriteOptions(objects=frozenset(WORDS.values()))
OLDER = replace(ALL, label_map=True, comprehensive_3d=False)


def shown(done: Written) -> dict[ObjectKind, list[str]]:
    """Return the digests of what shows the result, by kind."""
    kinds = (ObjectKind.SC, ObjectKind.KO, ObjectKind.PR)
    return {kind: [each.sha256 for each in done.objects if each.kind is kind] for kind in kinds}


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    places=st.lists(st.tuples(st.integers(0, 7), st.integers(0, 15), st.integers(0, 15)), max_size=4),
    voxels=st.lists(st.tuples(st.integers(0, 7), st.integers(0, 15), st.integers(0, 15)), min_size=1, max_size=6),
)
def test_the_same_job_twice_writes_the_same_bytes(
    ct: list[Path], tmp_path: Path, places: list[tuple[int, int, int]], voxels: list[tuple[int, int, int]]
) -> None:
    def result_of(grid: Grid) -> Result:
        mask = np.zeros(grid.shape, bool)
        mask[tuple(np.transpose(voxels))] = True
        regions = [Region.point(*place) for place in places]
        found = [Finding(codes["nodule"], regions=regions)] if regions else []
        return Result([Segment("Lesion", mask, codes["lesion"])], found)

    first, second = (write_result(ct, result_of, tmp_path / at, options=ALL) for at in ("first", "second"))
    assert [each.sha256 for each in first.objects] == [each.sha256 for each in second.objects]
    assert all(shown(first).values())


@pytest.mark.parametrize(
    "change",
    [
        {"key": "cd" * 32},
        {"model": replace(MODEL, version="2")},
        {"options": replace(ALL, syntax=Syntax.IMPLICIT)},
        {"options": replace(ALL, label_map=True)},
    ],
    ids=["another job", "another version", "another syntax", "another encoding"],
)
def test_other_work_has_other_uids(ct: list[Path], tmp_path: Path, change: dict[str, object]) -> None:
    usual = write_result(ct, everything, tmp_path / "usual", options=ALL).objects
    other = write_result(ct, everything, tmp_path / "other", **({"options": ALL} | change)).objects  # type: ignore[arg-type]
    assert not {each.sop_uid for each in usual} & {each.sop_uid for each in other}


def test_a_choice_of_objects_is_no_other_form() -> None:
    assert ALL.form == ""
    assert ALL.uid_facts == WriteOptions().uid_facts


def test_each_form_is_written_once_with_all_that_somebody_gets() -> None:
    image, note = frozenset({ObjectKind.SC}), frozenset({ObjectKind.KO})
    label_map = WriteOptions(label_map=True, objects=note)
    forms = distinct([WriteOptions(objects=image), label_map, WriteOptions(objects=note)])
    assert forms == (WriteOptions(objects=image | note), label_map)


def test_objects_of_a_result_are_valid_files_of_their_kind(ct: list[Path], tmp_path: Path) -> None:
    done = write_result(ct, everything, tmp_path, options=ALL)
    modalities = {each.kind: dcmread(each.path).Modality for each in done.objects}
    assert modalities[ObjectKind.SC] == "OT"
    assert (modalities[ObjectKind.KO], modalities[ObjectKind.PR]) == ("KO", "PR")


@pytest.mark.parametrize("words", [["seg", "sr"], ["sr", "key-image"], ["key-image", "key-object", "presentation"]])
def test_an_archive_that_takes_all_it_is_set_to_get_needs_no_other_setting(words: list[str]) -> None:
    options = WriteOptions(objects=frozenset(WORDS[word] for word in words))
    assert fit_settings(options, options.sop_classes) == {}


@given(st.sets(st.sampled_from(sorted(ALL.sop_classes | OLDER.sop_classes))))
def test_advice_never_names_what_an_archive_refuses(taken: set[str]) -> None:
    chosen = fit_settings(WriteOptions(), taken)
    options = WriteOptions(
        label_map=chosen.get("seg") == '"labelmap"', comprehensive_3d=chosen.get("sr") != '"comprehensive"'
    )
    if "objects" in chosen:
        kinds = frozenset(kind for word, kind in WORDS.items() if f'"{word}"' in chosen["objects"])
        assert replace(options, objects=kinds).sop_classes <= taken
        assert kinds & {ObjectKind.SR, ObjectKind.SC}


def test_an_unknown_class_has_no_advice() -> None:
    assert advice("1.2.840.10008.5.1.4.1.1.2", WriteOptions()) == ""


def test_kinds_are_named_as_the_settings_do() -> None:
    assert setting_text(frozenset({ObjectKind.SC, ObjectKind.SR})) == '["sr", "key-image"]'
