"""A folder of everything that is wrong with DICOM: each series has its named outcome and stops no other."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.filereader import read_partial
from pydicom.uid import UID

from orchestrator.testing import Patient, Phantom
from tests.data import faults
from tests.data.models import rule, write_model
from tests.data.series import cr_image, us_cine
from tests.parts.service import run_command

pytestmark = pytest.mark.timeout(300)

RULES = rule("computed tomography", "bone-volume", Modality="CT") + rule("pictures", "bright", Modality=["CR", "US"])
NAMES = {
    "japanese": Patient(character_set="\\ISO 2022 IR 87", name="Yamada^Tarou=山田^太郎=やまだ^たろう"),
    "korean": Patient(character_set="\\ISO 2022 IR 149", name="Hong^Gildong=洪^吉洞=홍^길동"),
    "arabic": Patient(character_set="ISO_IR 127", name="قباني^لنزار"),
    "greek in utf-8": Patient(character_set="ISO_IR 192", name="Παπαδόπουλος^Ελένη"),
}
COPY_OF_A_CORRECTION = "with another copy"


def with_another_copy(folder: Path) -> None:
    """One slice lies there twice, and the newer file has other pixels."""
    path = faults.ct(folder)[0]
    dataset = dcmread(path)
    dataset.PixelData = bytes(len(dataset.PixelData))
    dataset.save_as(folder / "corrected.dcm")


GOOD: dict[str, Callable[[Path], object]] = {
    "sound": faults.ct,
    "no meta header": faults.without_meta_header,
    "wrong VRs": faults.with_wrong_vrs,
    "no type 2 attributes": faults.without_type_2_attributes,
    "one file twice": faults.with_a_copy,
    COPY_OF_A_CORRECTION: with_another_copy,
    "4 GiB of pixels": faults.claiming_four_gib_of_pixels,  # those of its rows and columns are all there
    **{name: partial(faults.ct, patient=patient) for name, patient in NAMES.items()},
}
"""What looks odd and is right."""
STRAYS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a localizer": (faults.with_a_localizer, "localizer"),
    "a dose page": (faults.with_a_dose_page, "screen-capture"),
    "outlines": (faults.with_another_class("1.2.840.10008.5.1.4.1.1.481.3", "RTSTRUCT"), "no-image"),
    "a report": (faults.with_another_class("1.2.840.10008.5.1.4.1.1.88.33", "SR"), "no-image"),
    "another AI's slice": (faults.with_an_image_of_another_ai, "machine-written"),
    "one slice under two UIDs": (partial(faults.ct, duplicate=(2,)), "same-place"),
    "a seam of two acquisitions": (faults.of_two_acquisitions, "same-place"),
    "pixels of the last slice broken": (faults.with_broken_pixels(5), "unreadable"),
    "sequences nested too deeply": (faults.with_a_nested_header, "unreadable"),
}
"""One object in the series of the slices that does not belong to them or cannot be read, and why it is left out."""

UNSUPPORTED: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut in the pixels": (faults.cut_in_pixels, "truncated: image 2.25."),
    "cut before the pixels": (faults.cut_before_pixels, "no-pixels: 1 of 6 images have no pixels, first 2.25."),
    "cut in the header": (
        faults.cut_in_header,
        "missing-slice: 1 slice is missing: 6.00 mm between slices 2 and 3 of 5",
    ),
    "4 GiB of header": (faults.claiming_four_gib_of_header, "missing-slice: 1 slice is missing"),
    "no pixels": (faults.without_pixels, "no-pixels: 6 of 6 images"),
    "unknown transfer syntax": (faults.in_an_unknown_transfer_syntax, "unsupported-encoding: image 2.25."),
    "two patients": (faults.of_two_patients, "mixed-patient: the images of series 2.25."),
    "one UID for all": (faults.of_one_uid, "shared-uid: different images have the SOP Instance UID 1.2.3;"),
    "one UID for two": (
        faults.of_shared_uids,
        "shared-uid: different images have the SOP Instance UID 1.2.3.0, and 2 more SOP Instance UIDs are shared",
    ),
    "pixels of a slice broken": (faults.with_broken_pixels(2), "missing-slice: 1 slice is missing: 6.00 mm"),
    "all pixels broken": (faults.with_broken_pixels(*range(6)), "unreadable: series 2.25."),
    "no file is readable": (
        faults.with_nested_headers,
        "unreadable: no file of the series can be read: the first cannot be read as DICOM (RecursionError)",
    ),
    "two studies": (faults.of_two_studies, "mixed-series: the images are of more than one series or study"),
    "nobody": (faults.of_nobody, "no-identity: series 2.25."),
    "two time points": (partial(faults.ct, time_points=2), "several-time-points: 2 images at each of 6 positions"),
    "a slice too few": (
        partial(faults.ct, missing=(2,)),
        "missing-slice: 1 slice is missing: 6.00 mm between slices 2 and 3",
    ),
    "a slice too many": (
        faults.with_a_second_image_at_one_place,
        "duplicate-position: several images at 1 of 6 positions",
    ),
    "gantry tilt": (partial(faults.ct, tilt_degrees=12.0), "gantry-tilt: the slices are sheared by 12.0 degrees"),
    "localizer": (
        partial(faults.ct, attributes={"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}),
        "localizer: 6 of 6 images are localizers",
    ),
    "no place": (
        partial(cr_image, Modality="CT", seed="no place", RescaleIntercept=0, RescaleSlope=1, RescaleType="HU"),
        "no-geometry: 1 of 1 images have no position",
    ),
}
UNMATCHED: dict[str, tuple[Callable[[Path], object], str]] = {
    "another AI": (faults.of_another_ai, "This host or another AI wrote these objects"),
    "SR": (faults.of_another_class("1.2.840.10008.5.1.4.1.1.88.33", "SR"), "The series holds a structured report"),
    "SEG": (faults.of_another_class("1.2.840.10008.5.1.4.1.1.66.4", "SEG"), "The series holds a segmentation"),
    "KO": (faults.of_another_class("1.2.840.10008.5.1.4.1.1.88.59", "KO"), "The series holds a key object selection"),
    "PR": (faults.of_another_class("1.2.840.10008.5.1.4.1.1.11.1", "PR"), "The series holds a presentation state"),
    "other modality": (partial(faults.ct, attributes={"Modality": "NM"}), "no rule matched"),
}
NO_DICOM = {
    "letter.txt": (b"Dear colleague, please find attached the images.\n" * 20, "is not a DICOM file"),
    "empty.dcm": (b"", "is not a DICOM file"),
    "picture.png": (b"\x89PNG" + bytes(600), "is not a DICOM file"),
    "preamble.dcm": (bytes(128) + b"DICM", "has no valid StudyInstanceUID"),
}


@dataclass(frozen=True)
class Run:
    """One run of the command line over all of it."""

    ended: subprocess.CompletedProcess[str]
    outcomes: Mapping[str, Mapping[str, Any]]
    output: Path

    def of(self, name: str, kind: str = "CT") -> Mapping[str, Any]:
        """Return the outcome of the series that the folder of this name made."""
        return self.outcomes[Phantom(seed=name).uid("series", kind)]

    def objects(self, name: str) -> list[Dataset]:
        """Return the datasets that came of that folder."""
        return [dcmread(item["path"]) for item in self.of(name)["objects"]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    work = tmp_path_factory.mktemp("run")
    faulty = {key: value[0] for key, value in {**STRAYS, **UNSUPPORTED, **UNMATCHED}.items()}
    for name, build in {**GOOD, **faulty}.items():
        build(work / "input" / name)
    cr_image(work / "input" / "radiograph", seed="radiograph")
    us_cine(work / "input" / "cine", seed="cine")
    (work / "input" / "no files").mkdir()
    for name, (content, _) in NO_DICOM.items():
        (work / "input" / name).write_bytes(content)
    write_model(work / "plugins", "bright", attributes="accepts = Accepts(geometry=Geometry.IMAGE)")
    (work / "rules.toml").write_text(RULES)
    output, report = work / "output", work / "report.json"
    ended = run_command(
        "run", work / "input", output, "--rules", work / "rules.toml", "--plugins", work / "plugins", "--json", report
    )
    assert report.exists(), ended.stderr
    outcomes = json.loads(report.read_text())
    assert len(outcomes) == len({item["series"] for item in outcomes})
    return Run(ended, {item["series"]: item for item in outcomes}, output)


@pytest.mark.parametrize("name", GOOD)
def test_what_looks_odd_and_is_right_gets_its_result(run: Run, name: str) -> None:
    outcome = run.of(name)
    assert (outcome["outcome"], outcome["reason"]) == ("done", "")
    assert sorted(item["kind"] for item in outcome["objects"]) == ["SEG", "SR"]


@pytest.mark.parametrize("name", STRAYS)
def test_a_stray_object_is_left_out_and_named_in_outcome_and_report(run: Run, name: str) -> None:
    outcome = run.of(name)
    assert (outcome["outcome"], outcome["reason"], len(outcome["objects"])) == ("done", "", 2)
    (left_out,) = outcome["images"]["left_out"]
    assert left_out["reason"] == STRAYS[name][1]
    assert outcome["images"]["read"] == outcome["images"]["received"] - 1
    (report,) = (item for item in run.objects(name) if item.Modality == "SR")
    texts = [item.TextValue for item in report.ContentSequence if item.ValueType == "TEXT"]
    (sentence,) = (text for text in texts if text.startswith("Read: "))
    assert f"Read: {outcome['images']['read']} of {outcome['images']['received']} received" in sentence
    assert left_out["uid"] in sentence


def test_every_received_image_is_accounted_for_in_exactly_one_outcome(run: Run) -> None:
    received: dict[str, set[str]] = {}
    for path in (run.output.parent / "input").rglob("*.dcm"):
        with path.open("rb") as stream:
            header = read_partial(stream, stop_when=lambda tag, *_: tag > 0x0020000E, force=True)
        if "SeriesInstanceUID" in header:  # else nobody knows of which series the file is; the terminal names it
            received.setdefault(header.SeriesInstanceUID, set()).add(header.SOPInstanceUID)
    assert {uid: len(images) for uid, images in received.items()} == {
        uid: outcome["images"]["received"] for uid, outcome in run.outcomes.items()
    }
    for uid, outcome in run.outcomes.items():
        left_out = [image["uid"] for image in outcome["images"]["left_out"]]
        assert len(left_out) == len(set(left_out))
        assert received[uid].issuperset(left_out)
        expected = outcome["images"]["received"] - len(left_out) if outcome["outcome"] == "done" else 0
        assert outcome["images"]["read"] == expected


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_what_no_model_can_be_given_is_unsupported_and_says_why(run: Run, name: str) -> None:
    outcome = run.of(name, "CR" if name == "no place" else "CT")
    assert outcome["outcome"] == "unsupported"
    assert outcome["reason"].startswith(UNSUPPORTED[name][1])
    assert not outcome["objects"]


@pytest.mark.parametrize("name", UNMATCHED)
def test_what_is_for_no_model_is_unmatched_and_says_why(run: Run, name: str) -> None:
    outcome = run.of(name)
    assert (outcome["outcome"], outcome["model"]) == ("unmatched", None)
    assert outcome["reason"].startswith(UNMATCHED[name][1])


@pytest.mark.parametrize(("name", "kind"), [("radiograph", "CR"), ("cine", "US")])
def test_pictures_without_a_place_in_the_patient_get_their_result(run: Run, name: str, kind: str) -> None:
    outcome = run.of(name, kind)
    assert (outcome["outcome"], outcome["model"]) == ("done", "bright")
    assert outcome["objects"]


@pytest.mark.parametrize("name", NO_DICOM)
def test_a_file_that_is_no_dicom_is_told_by_its_place_and_fault(run: Run, name: str) -> None:
    assert f"input/{name} {NO_DICOM[name][1]}" in run.ended.stdout


def test_a_file_that_is_cut_off_is_told_by_its_place_and_fault(run: Run) -> None:
    assert "cut in the header/IM0003.dcm ends inside its header, at (0010,0021)" in run.ended.stdout


def test_the_older_of_two_contents_under_one_uid_is_told(run: Run) -> None:
    assert f"{COPY_OF_A_CORRECTION}/IM0001.dcm holds other content than corrected.dcm, which is newer" in (
        run.ended.stdout
    )


@pytest.mark.parametrize("name", NAMES)
def test_names_in_any_character_set_are_the_same_in_every_object(run: Run, name: str) -> None:
    written = run.objects(name)
    assert {str(item.PatientName) for item in written} == {NAMES[name].name}
    assert {item.SpecificCharacterSet for item in written} == {"ISO_IR 192"}


def test_the_exit_status_is_0_where_nothing_failed(run: Run) -> None:
    assert run.ended.returncode == 0
    assert {item["outcome"] for item in run.outcomes.values()} == {"done", "unsupported", "unmatched"}


def test_nobody_sees_a_traceback_or_a_warning_of_a_library(run: Run) -> None:
    assert "Traceback" not in run.ended.stdout + run.ended.stderr
    assert "Warning" not in run.ended.stderr


def test_nothing_is_written_for_what_has_no_result(run: Run) -> None:
    listed = {item["path"] for outcome in run.outcomes.values() for item in outcome["objects"]}
    assert {str(path) for path in run.output.rglob("*.dcm") if ".orchestrator" not in path.parts} == listed
    assert all(UID(Path(path).stem).is_valid for path in listed)


def test_an_empty_folder_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "input").mkdir()
    ended = run_command("run", tmp_path / "input", tmp_path / "output", "--json", tmp_path / "report.json")
    assert ended.returncode == 0
    assert "no DICOM series was found" in ended.stdout
    assert json.loads((tmp_path / "report.json").read_text()) == []
