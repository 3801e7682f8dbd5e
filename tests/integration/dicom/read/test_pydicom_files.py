"""Real and odd files that pydicom ships: the volume is what pydicom decodes, rescaled as the standard says."""

import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.pixels import apply_modality_lut

from orchestrator.dicom import fill, gather, plan, read_instance
from orchestrator.domain.errors import InputFault, UnreadableFile, UnsupportedInput
from orchestrator.domain.model import Accepts, Geometry

GREY = (
    *("CT_small", "MR_small", "MR_small_RLE", "MR_small_bigendian", "MR_small_expb", "MR_small_implicit"),
    *("MR_small_jp2klossless", "MR_small_jpeg_ls_lossless", "MR_small_padded", "JPEG2000", "J2K_pixelrep_mismatch"),
    *("693_J2KI", "693_J2KR", "693_UNCI", "693_UNCR", "MR2_J2KI", "MR2_J2KR", "MR2_UNCI", "MR2_UNCR"),
    *("RG3_J2KI", "RG3_J2KR", "RG3_UNCI", "RG3_UNCR", "emri_small", "emri_small_RLE", "emri_small_big_endian"),
    *("emri_small_jpeg_2k_lossless", "emri_small_jpeg_ls_lossless", "eCT_Supplemental", "mlut_18", "image_dfl"),
    *("MR-SIEMENS-DICOM-WithOverlays", "explicit_VR-UN", "JPEG2000_UNC"),
)
COLOUR = (
    *("SC_rgb", "SC_rgb_jpeg_dcmtk", "SC_rgb_rle", "SC_rgb_rle_2frame", "SC_rgb_small_odd_big_endian"),
    *("SC_rgb_small_odd", "SC_rgb_small_odd_jpeg", "SC_rgb_jls_lossy_line", "SC_rgb_jls_lossy_sample"),
    *("SC_rgb_gdcm_KY", "SC_rgb_dcmtk_+eb+cr", "SC_rgb_dcmtk_+eb+cy+np", "SC_ybr_full_422_uncompressed"),
    *("US1_UNCR", "US1_J2KR", "SC_ybr_full_uncompressed", "examples_ybr_color", "color-pl", "color-px"),
)


def written_anew(name: str, folder: Path) -> Path:
    """Return the file, with the patient that some of them lack."""
    source = Path(get_testdata_file(f"{name}.dcm"))
    dataset = dcmread(source)
    if dataset.get("PatientID") and dataset.get("StudyInstanceUID"):
        return source
    dataset.PatientID, dataset.StudyInstanceUID = "PYDICOM", dataset.get("StudyInstanceUID") or "1.2.3"
    dataset.SeriesInstanceUID = dataset.get("SeriesInstanceUID") or "1.2.4"
    dataset.save_as(folder / "written.dcm")
    return folder / "written.dcm"


def read(path: Path, *, colour: bool = False):
    accepts = Accepts(geometry=Geometry.IMAGE, colour=colour, unit=("1", "[hnsf'U]"))  # one is a map of blood flow
    grid = plan(gather([read_instance(path)]), accepts)[0]
    return fill(grid, np.empty(grid.shape, grid.dtype))


def pydicom_pixels(path: Path) -> tuple[Dataset, np.ndarray]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = dcmread(path)
        return dataset, dataset.pixel_array


def expected_values(dataset: Dataset, stored: np.ndarray) -> np.ndarray:
    """What the volume holds by our stated conventions, worked out with pydicom and numpy alone."""
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        return (1 << dataset.BitsStored) - 1 - stored.astype(float)
    if "PerFrameFunctionalGroupsSequence" in dataset:
        groups = [
            frame.PixelValueTransformationSequence[0]
            if "PixelValueTransformationSequence" in frame
            else dataset.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence[0]
            for frame in dataset.PerFrameFunctionalGroupsSequence
        ]
        return np.stack(
            [s * float(g.RescaleSlope) + float(g.RescaleIntercept) for s, g in zip(stored, groups, strict=True)]
        )
    values = apply_modality_lut(stored, dataset).astype(float)
    if dataset.Modality == "CT" and "PixelPaddingValue" in dataset:
        values[stored == dataset.PixelPaddingValue] = -1024
    return values


@pytest.mark.parametrize("name", GREY)
def test_grey_files_read_as_pydicom_decodes_them(name, tmp_path):
    path = written_anew(name, tmp_path)
    dataset, stored = pydicom_pixels(path)
    volume = read(path)
    np.testing.assert_allclose(volume.voxels, expected_values(dataset, stored).reshape(volume.shape))


@pytest.mark.parametrize("name", COLOUR)
def test_colour_files_read_as_pydicom_decodes_them(name, tmp_path):
    path = written_anew(name, tmp_path)
    _, stored = pydicom_pixels(path)
    volume = read(path, colour=True)
    np.testing.assert_array_equal(volume.voxels, stored.reshape(volume.voxels.shape))


def test_a_palette_is_looked_up():
    volume = read(Path(get_testdata_file("OT-PAL-8-face.dcm")), colour=True)
    assert volume.voxels.shape[-1] == 3
    assert len(np.unique(volume.voxels.reshape(-1, 3), axis=0)) == 52


@pytest.mark.parametrize("name", ["JPGLosslessP14SV1_1s_1f_8b", "JPEG-LL"])
def test_lossless_jpeg_needs_no_plugin_of_pydicom(name, tmp_path):
    volume = read(written_anew(name, tmp_path))
    assert len(np.unique(volume.voxels)) > 50


@pytest.mark.parametrize("name", ["JPGExtended", "JPEG-lossy"])
def test_twelve_bit_jpeg_is_read(name, tmp_path):
    assert read(written_anew(name, tmp_path)).voxels.max() > 255


@pytest.mark.parametrize("kind", ["J2KR", "J2KI"])
def test_the_same_image_compressed_reads_the_same(kind):
    plain = read(Path(get_testdata_file(f"RG1_UNC{kind[-1]}.dcm")))
    compressed = read(Path(get_testdata_file(f"RG1_{kind}.dcm")))
    np.testing.assert_array_equal(plain.voxels, compressed.voxels)


def test_a_codestream_that_announces_terabytes_is_refused_before_memory_is_taken(tmp_path):
    bomb = written_anew("JPEG2000-embedded-sequence-delimiter", tmp_path)
    with pytest.raises(UnsupportedInput) as refusal:
        read(bomb)
    assert refusal.value.fault is InputFault.UNREADABLE


def test_lossless_jpeg_in_colour_keeps_its_colours():
    compressed, plain = (
        read(Path(get_testdata_file(f"{name}.dcm")), colour=True) for name in ("SC_rgb_jpeg_gdcm", "SC_rgb")
    )
    np.testing.assert_array_equal(compressed.voxels, plain.voxels)


def test_truncated_pixels_are_named():
    with pytest.raises(UnsupportedInput) as refusal:
        read(Path(get_testdata_file("MR_truncated.dcm")))
    assert refusal.value.fault is InputFault.TRUNCATED


@pytest.mark.parametrize("name", ["test-SR", "reportsi", "rtplan", "rtstruct", "waveform_ecg", "liver_1frame"])
def test_objects_that_are_no_images_are_instances_too(name):
    instance = read_instance(Path(get_testdata_file(f"{name}.dcm")))
    with pytest.raises(UnsupportedInput, match="has no images"):
        plan(gather([instance]), Accepts())


def every_file() -> list[str]:
    folders = {Path(get_testdata_file(name)).parent for name in ("CT_small.dcm", "emri_small.dcm")}
    return sorted(str(path) for folder in folders for path in folder.glob("*.dcm"))


@pytest.mark.parametrize("path", every_file(), ids=lambda path: Path(path).name)
def test_every_file_is_read_or_named_unreadable(path):
    with suppress(UnreadableFile):  # and nothing but this
        instance = read_instance(Path(path))
        assert instance.sop_uid
        assert read_instance(Path(path)) == instance
