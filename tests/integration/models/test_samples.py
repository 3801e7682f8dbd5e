"""The samples are valid DICOM, the same each time, and say in one sentence when they cannot be had."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from orchestrator.app.demo import sample_downloads
from orchestrator.app.demo.sample_downloads import SampleSource
from orchestrator.app.demo.samples import AVERAGE_T1, HEAD_CT, RADIOGRAPH, write_samples
from orchestrator.domain.errors import PackageError
from orchestrator.testing import read_series
from tests.parts.dicom.validators import complaints_of

SERIES = {"mr-head": 176, "us": 1, "cr-chest": 1, "ct-head": None}


@pytest.mark.parametrize("name", SERIES)
def test_dciodvfy_finds_no_error(samples, name):
    files = sorted((samples / name).glob("*.dcm"))
    for file in (files[0], files[-1]):
        assert [line for line in complaints_of(file) if line.startswith("Error")] == []


@pytest.mark.parametrize("name", ["mr-head", "ct-head"])
def test_a_volume_sample_is_one_regular_grid_of_a_hundred_slices_or_more(samples, name):
    volume = read_series(sorted((samples / name).glob("*.dcm")))
    assert volume.shape[0] >= 100
    assert abs(volume.affine @ [*(np.array(volume.shape) - 1) / 2, 1])[:3].max() < 1e-3


def test_the_nose_of_the_head_points_to_the_front_and_its_neck_down(samples):
    head = read_series(sorted((samples / "mr-head").glob("*.dcm")))
    index = np.argwhere(head.voxels > 60)
    x, y, z = head.affine[:3] @ np.column_stack([index, np.ones(len(index))]).T
    front, bottom, top = y < np.quantile(y, 0.001), z < np.quantile(z, 0.01), z > np.quantile(z, 0.99)
    assert abs(np.median(x[front])) < 10  # the nose is in the middle, and below the middle of the head
    assert np.median(z[front]) < np.median(z)
    assert np.ptp(y[bottom]) > 1.3 * np.ptp(y[top])  # neck and chin against the crown


def test_written_again_the_uids_are_the_same(samples, tmp_path):
    again = write_samples(tmp_path, lambda line: None).folder
    for name in SERIES:
        first, second = (dcmread(folder / name / "0001.dcm", stop_before_pixels=True) for folder in (samples, again))
        assert (first.SOPInstanceUID, first.SeriesInstanceUID) == (second.SOPInstanceUID, second.SeriesInstanceUID)


def test_nothing_of_the_original_header_is_left(samples):
    radiograph = dcmread(samples / "cr-chest" / "0001.dcm", stop_before_pixels=True)
    assert (str(radiograph.PatientName), radiograph.PatientID) == ("DEMO^CHEST", "DEMO-CR-CHEST")
    assert "InstitutionName" not in radiograph
    assert "synthetic headers" in radiograph.ImageComments


def test_offline_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(PackageError, match=r"pydeface 2\.1\.0 could not be downloaded \(.*\); check that"):
        sample_downloads.from_wheel(AVERAGE_T1, lambda line: None)


def test_another_file_than_expected_is_refused():
    other = SampleSource(RADIOGRAPH.package, RADIOGRAPH.version, RADIOGRAPH.path, "0" * 64, RADIOGRAPH.licence)
    with pytest.raises(PackageError, match="has an unexpected sha256"):
        sample_downloads.from_wheel(other, lambda line: None)


def test_a_machine_without_apt_has_no_debian_package(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    assert sample_downloads.from_debian(HEAD_CT, lambda line: None) is None
