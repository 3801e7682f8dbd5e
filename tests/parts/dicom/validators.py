"""What other people's tools say about an object: dicom3tools, dcmqi, DCMTK and highdicom, each asked the same way.

assert_valid(path, source)           dciodvfy, dsrdump, highdicom
assert_consistent(sources, objects)  dcentvfy
read_masks(seg), read_report(sr),
read_map(pm)                         dcmqi
"""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import numpy.typing as npt
from pydicom import Dataset, dcmread
from pydicom.uid import ParametricMapStorage

_BIN = Path(sys.executable).parent

KNOWN = (
    # PS3.16 8.2 gives 99... to local codes; dciodvfy knows a few vendors' only, so each local code is warned of
    "Unrecognized defined term <99ORCH> for value 1 of attribute <Coding Scheme Designator>",
    # dcentvfy files the attribute of an SR under another entity than that of an image, whoever wrote them;
    # which of the two it names first follows the order of the files
    "Different information entities for attribute - Element=<AccessionNumber> IE <Series> versus <Study>",
    "Different information entities for attribute - Element=<AccessionNumber> IE <Study> versus <Series>",
)
"""Complaints that are the tool's own."""

LABEL_MAP_KNOWN = (
    # PS3.3 C.17.3.5 wants the number for any segmentation; dciodvfy does not count label maps among them yet
    "Shall not be present for Referenced SOP Class that is not segmentation - attribute <ReferencedSegmentNumber>",
)


def assert_valid(path: Path, source: Path | None = None, *, known: Sequence[str] = KNOWN, dump: bool = True) -> None:
    """Assert that nobody finds an error in an object, nor a warning that its source image does not have too.

    dump: False where DCMTK 3.6 cannot know what is referred to (label maps).
    """
    complaints = set(complaints_of(path)) - set(complaints_of(source) if source else ())
    complaints = {line for line in complaints if not any(each in line for each in known)}
    assert not complaints, f"dciodvfy on {path.name}: {sorted(complaints)}"
    written = dcmread(path)
    if written.Modality in {"SR", "KO"} and dump:
        result = _run("dsrdump", str(path))
        assert result.returncode == 0, f"dsrdump on {path.name}: {result.stderr}"
        assert "E:" not in result.stderr, f"dsrdump on {path.name}: {result.stderr}"
    assert_reread(written)


def complaints_of(path: Path) -> list[str]:
    """Return the errors and warnings that dciodvfy has about a file."""
    result = _run(_BIN / "dciodvfy", str(path))
    return [line for line in (result.stdout + result.stderr).splitlines() if line.startswith(("Error", "Warning"))]


def assert_reread(written: Dataset) -> None:
    """Assert that highdicom takes the object for what it is."""
    if written.Modality == "SEG":
        assert highdicom.seg.Segmentation.from_dataset(written).segment_numbers
    elif written.SOPClassUID == ParametricMapStorage:
        assert highdicom.pm.ParametricMap.from_dataset(written).pixel_array.dtype == np.float32
    elif written.Modality == "KO":
        assert highdicom.ko.KeyObjectSelectionDocument.from_dataset(written).content
    elif written.Modality == "SR":
        kind = highdicom.sr.Comprehensive3DSR if written.SOPClassUID.endswith("88.34") else highdicom.sr.ComprehensiveSR
        assert kind.from_dataset(written).content


def assert_consistent(sources: Sequence[Path], objects: Sequence[Path]) -> None:
    """Assert that dcentvfy finds the same patient, study and frame of reference in sources and objects."""
    before = _entity_complaints(sources)
    after = [line for line in _entity_complaints([*sources, *objects]) if line not in before]
    known = KNOWN if _in_utf8(sources[0]) else (*KNOWN, "Element=<PatientName>")  # it compares bytes, not names
    after = [line for line in after if not any(each in line for each in known)]
    assert not after, f"dcentvfy: {after[:5]}"


def _in_utf8(source: Path) -> bool:
    return bool(dcmread(source, stop_before_pixels=True).get("SpecificCharacterSet") == "ISO_IR 192")


def _entity_complaints(paths: Sequence[Path]) -> list[str]:
    result = _run(_BIN / "dcentvfy", *map(str, paths))
    return [line for line in (result.stdout + result.stderr).splitlines() if line.startswith(("Error", "Warning"))]


def assert_same_patient(source: Path, objects: Sequence[Path]) -> None:
    """Assert that patient and study are the source's, after decoding either."""
    keywords = (
        *("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID"),
        *("StudyID", "StudyDate", "StudyTime", "AccessionNumber", "StudyDescription"),
    )
    image = dcmread(source, stop_before_pixels=True)
    for path in objects:
        written = dcmread(path, stop_before_pixels=True)
        different = [each for each in keywords if str(written.get(each) or "") != str(image.get(each) or "")]
        assert not different, f"{written.Modality} differs from its source in {different}"


@dataclass(frozen=True)
class ReadMask:
    """One segment as dcmqi reads it. points: (n, 3) LPS mm of its voxels; voxel_ml: volume of one."""

    label: str
    points: npt.NDArray[np.float64]
    voxel_ml: float


def read_masks(seg: Path) -> list[ReadMask]:
    """Return the segments of a SEG as dcmqi's segimage2itkimage reads them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        result = _run(_BIN / "segimage2itkimage", "--inputDICOM", str(seg), "--outputDirectory", name, "-t", "nrrd")
        assert result.returncode == 0, f"segimage2itkimage: {result.stdout[-400:]}{result.stderr[-400:]}"
        described = json.loads((folder / "meta.json").read_text())["segmentAttributes"]
        masks = []
        for number, group in enumerate(described, 1):
            labels, affine = _nrrd(folder / f"{number}.nrrd")
            for segment in group:
                index = np.argwhere(labels == segment["labelID"])
                points = index @ affine[:3, :3].T + affine[:3, 3]
                masks.append(ReadMask(segment["SegmentLabel"], points, abs(np.linalg.det(affine[:3, :3])) / 1000))
        return masks


@dataclass(frozen=True)
class ReadMap:
    """A map as dcmqi reads it: values (i, j, k), the affine to LPS mm, and what it says of them."""

    values: npt.NDArray[Any]
    affine: npt.NDArray[np.float64]
    told: dict[str, Any]


def read_map(pm: Path) -> ReadMap:
    """Return a map as dcmqi's paramap2itkimage reads it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        result = _run(_BIN / "paramap2itkimage", "--inputDICOM", str(pm), "--outputDirectory", name, "-t", "nrrd")
        assert result.returncode == 0, f"paramap2itkimage: {result.stdout[-400:]}{result.stderr[-400:]}"
        return ReadMap(*_nrrd(folder / "pmap.nrrd"), json.loads((folder / "meta.json").read_text()))


def _nrrd(path: Path) -> tuple[npt.NDArray[Any], npt.NDArray[np.float64]]:
    """Return (i, j, k) values of an NRRD file and the affine to its space, LPS."""
    head, _, body = path.read_bytes().partition(b"\n\n")
    fields = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line and line[0] != "#")
    sizes = [int(size) for size in fields["sizes"].split()]
    vectors = [_vector(text) for text in fields["space directions"].split(" ")]
    affine = np.eye(4)
    affine[:3, :3] = np.stack(vectors, axis=1)
    affine[:3, 3] = _vector(fields["space origin"])
    assert (fields["encoding"], fields["space"]) == ("gzip", "left-posterior-superior")
    values = np.frombuffer(gzip.decompress(body), {"short": "<i2", "float": "<f4"}.get(fields["type"], "u1"))
    return values.reshape(sizes[::-1]).transpose(), affine


def _vector(text: str) -> npt.NDArray[np.float64]:
    return np.array([float(number) for number in text.strip("()").split(",")])


def read_report(document: Path) -> dict[str, Any]:
    """Return the measurements of an SR as dcmqi's tid1500reader reads them."""
    with tempfile.TemporaryDirectory() as name:
        target = Path(name) / "report.json"
        result = _run(_BIN / "tid1500reader", "--inputDICOM", str(document), "--outputMetadata", str(target))
        assert result.returncode == 0, f"tid1500reader: {result.stdout[-400:]}{result.stderr[-400:]}"
        report: dict[str, Any] = json.loads(target.read_text())
        return report


def _run(tool: str | Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    found = shutil.which(str(tool))
    assert found, f"{tool} is not installed"
    # DCMTK cuts long texts wherever it likes, also amid a character
    return subprocess.run(
        [found, *arguments], capture_output=True, text=True, errors="replace", check=False, timeout=60
    )
