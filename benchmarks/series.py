"""CT series to measure with: 512 x 512, 12 bits in 16, complete headers, written slice by slice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, generate_uid

SIZE = 512
INTERCEPT = -1024
_AIR, _TISSUE, _BONE = 24, 1064, 1724  # stored; -1000, 40 and 700 HU


def write_ct(
    folder: Path,
    count: int,
    *,
    announced: int | None = None,
    syntax: UID = ExplicitVRLittleEndian,
    encode: Callable[[npt.NDArray[np.uint16]], bytes] | None = None,
) -> list[Path]:
    """Return the files of one CT series: a disc of noisy tissue around a rod of bone.

    announced: Images in Acquisition (0020,1002); left out unless given.
    encode: gives the compressed frame of ``syntax``.
    """
    folder.mkdir(parents=True)
    study, series, frame_of_reference = generate_uid(), generate_uid(), generate_uid()
    files = []
    for index, pixels in enumerate(_slices(count)):
        image = _header(index)
        image.file_meta.TransferSyntaxUID = syntax
        image.StudyInstanceUID, image.SeriesInstanceUID, image.FrameOfReferenceUID = study, series, frame_of_reference
        image.PixelData = encapsulate([encode(pixels)]) if encode else pixels.tobytes()
        image["PixelData"].VR = "OB" if encode else "OW"
        if announced is not None:
            image.ImagesInAcquisition = announced
        files.append(folder / f"{index:04}.dcm")
        image.save_as(files[-1], enforce_file_format=True)
    return files


def _slices(count: int) -> list[npt.NDArray[np.uint16]]:
    row, column = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
    radius = row**2 + column**2
    body = np.select([radius < 0.02, radius < 0.8], [_BONE, _TISSUE], _AIR)
    noise = np.random.default_rng(0)
    return [(body + noise.integers(-20, 20, body.shape)).astype(np.uint16) for _ in range(count)]


def _header(index: int) -> Dataset:
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, generate_uid()
    image.PatientID, image.PatientName = "BENCH", "Bench^Mark"
    image.PatientBirthDate, image.PatientSex = "19700101", "O"
    image.StudyID, image.AccessionNumber, image.ReferringPhysicianName = "1", "A-1", ""
    image.StudyDate, image.StudyTime = "20250501", "101500"
    image.Modality, image.SeriesNumber, image.AcquisitionNumber = "CT", 1, 1
    image.ImageType, image.PatientPosition = ["ORIGINAL", "PRIMARY", "AXIAL"], "HFS"
    image.Manufacturer, image.KVP, image.PositionReferenceIndicator = "Bench", "120", ""
    image.InstanceNumber, image.ImagePositionPatient = index + 1, [-180, -180, index]
    image.ImageOrientationPatient, image.PixelSpacing, image.SliceThickness = [1, 0, 0, 0, 1, 0], [0.7, 0.7], 1
    image.Rows = image.Columns = SIZE
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 12, 11, 0
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.RescaleIntercept, image.RescaleSlope, image.RescaleType = INTERCEPT, 1, "HU"
    return image
