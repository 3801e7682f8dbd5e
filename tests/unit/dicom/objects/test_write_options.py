"""What a destination takes has a name, and a result in another form has UIDs of its own."""

from __future__ import annotations

import json
import re
from itertools import product
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from orchestrator.dicom import Syntax, WriteOptions, plan, store_plugin_objects
from orchestrator.dicom.headers.header import read_instance
from orchestrator.dicom.read.series import gather
from orchestrator.domain.model import Accepts
from tests.parts.dicom.written import one_segment, write_result

EVERY = [
    WriteOptions(label_map=label_map, comprehensive_3d=comprehensive_3d, syntax=syntax)
    for label_map, comprehensive_3d, syntax in product((False, True), (True, False), Syntax)
]
IMPLICIT = WriteOptions(syntax=Syntax.IMPLICIT)


def test_each_choice_has_a_name_of_its_own_and_the_usual_one_has_none() -> None:
    assert len({options.form for options in EVERY}) == len(EVERY)
    assert WriteOptions().form == ""
    assert WriteOptions(label_map=True, comprehensive_3d=False, syntax=Syntax.DEFLATED).form == (
        "labelmap comprehensive deflated"
    )


def test_a_choice_that_nobody_made_before_changes_no_uid() -> None:
    assert WriteOptions().uid_facts == {"label_map": False, "comprehensive_3d": True}
    assert IMPLICIT.uid_facts == {"label_map": False, "comprehensive_3d": True, "syntax": "implicit"}


@pytest.mark.parametrize("options", EVERY, ids=lambda options: options.form or "usual")
def test_objects_know_their_form_and_are_in_its_transfer_syntax(
    ct: list[Path], tmp_path: Path, options: WriteOptions
) -> None:
    done = write_result(ct, one_segment, tmp_path, options=options)
    assert {record.form for record in done.objects} == {options.form}
    assert {dcmread(path).file_meta.TransferSyntaxUID for path in done.paths} == {options.syntax.uid}


def test_another_transfer_syntax_says_the_same_under_other_uids(ct: list[Path], tmp_path: Path) -> None:
    for usual, implicit in zip(
        *(write_result(ct, one_segment, tmp_path, options=options).paths for options in (WriteOptions(), IMPLICIT)),
        strict=True,
    ):
        assert dcmread(usual) != dcmread(implicit)
        assert without_our_uids(usual) == without_our_uids(implicit)


def without_our_uids(path: Path) -> str:
    """Return all that an object says; in the implicit syntax pixels are always OW (PS3.5 A.1)."""
    said = json.dumps(dcmread(path).to_json_dict(), sort_keys=True)
    return re.sub(r'"2\.25\.[0-9]+"', '"ours"', said).replace('"vr": "OW"', '"vr": "OB"')


def extra(ct: list[Path], folder: Path) -> Dataset:
    """Return an object such as a plugin adds: a SEG of another job."""
    return dcmread(write_result(ct, one_segment, folder, key="cd" * 32).paths[0])


def test_an_extra_object_keeps_its_uids_in_the_usual_form_only(ct: list[Path], tmp_path: Path) -> None:
    given, grid = extra(ct, tmp_path), plan(gather([read_instance(path) for path in ct]), Accepts())[0]
    told = {"grid": grid, "job_key": "ab" * 32, "folder": tmp_path}
    (usual,) = store_plugin_objects([given], options=WriteOptions(), **told)  # type: ignore[arg-type]
    (implicit,) = store_plugin_objects([given], options=IMPLICIT, **told)  # type: ignore[arg-type]
    assert usual.sop_uid == given.SOPInstanceUID
    assert not {usual.sop_uid, usual.series_uid} & {implicit.sop_uid, implicit.series_uid}
    written = dcmread(implicit.path)
    assert written.file_meta.TransferSyntaxUID == Syntax.IMPLICIT.uid
    assert written.file_meta.MediaStorageSOPInstanceUID == written.SOPInstanceUID == implicit.sop_uid
    assert written.PixelData == given.PixelData
