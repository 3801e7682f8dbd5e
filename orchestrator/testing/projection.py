"""Synthetic images without patient geometry, each with a bright square: radiographs, cine loops, screen captures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
    UltrasoundMultiFrameImageStorage,
)

from orchestrator.testing.headers import Patient, code, put
from orchestrator.testing.phantom import Phantom
from orchestrator.testing.pixels import encode, put_pixels

CLASSES = {
    "CR": ComputedRadiographyImageStorage,
    "DX": DigitalXRayImageStorageForPresentation,
    "MG": DigitalMammographyXRayImageStorageForPresentation,
    "US": UltrasoundMultiFrameImageStorage,
    "OT": SecondaryCaptureImageStorage,
}
_GREY = frozenset({"CR", "DX", "MG"})
_DARK, _BRIGHT, _MOST = 400, 3000, 4095  # 12 bits
_COLOURS = {"US": ((60, 0, 0), (255, 255, 255)), "OT": ((0, 0, 0), (250, 240, 10))}
_PLANE = frozenset({"FrameOfReferenceUID", "PositionReferenceIndicator", "SliceLocation"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """The description of synthetic images: CR, DX and MG in grey with 12 bits, US and OT in colour.

    US is one loop of ``images`` frames. MG is a left breast, mediolateral oblique.
    square: top, left, bottom and right edge of the bright square in pixels, bottom and right excluded.
    photometric: with MONOCHROME1 grey images are stored inverted; they look the same.
    attributes: attributes to set on every image (None deletes one). seed: seed of all UIDs.
    """

    modality: str = "CR"
    images: int = 1
    rows: int = 96
    columns: int = 80
    square: tuple[int, int, int, int] = (10, 30, 20, 44)
    photometric: str = "MONOCHROME2"
    patient: Patient = field(default_factory=Patient)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    seed: str = "orchestrator"

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """(image, row, column): the mask of the square."""
        top, left, bottom, right = self.square
        mask = np.zeros((self.images, self.rows, self.columns), dtype=bool)
        mask[:, top:bottom, left:right] = True
        return mask

    def datasets(self) -> list[Dataset]:
        """Return one dataset per file: one per radiograph or capture, one for a loop."""
        numbers = [1] if self.modality == "US" else range(1, self.images + 1)
        return [self.image(number) for number in numbers]

    def image(self, number: int) -> Dataset:
        """Return the image or loop with this instance number."""
        dataset = self._header(number)
        if self.modality in _GREY:
            self._put_grey(dataset)
        else:
            self._put_colour(dataset)
        put(dataset, _KINDS[self.modality] | dict(self.attributes))
        return encode(dataset, ExplicitVRLittleEndian)

    def write(self, folder: Path) -> list[Path]:
        """Write the images as ``IM0001.dcm``, ``IM0002.dcm`` ...; return their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for dataset in self.datasets():
            paths.append(folder / f"IM{dataset.InstanceNumber:04}.dcm")
            dataset.save_as(paths[-1], enforce_file_format=True)
        return paths

    def _header(self, number: int) -> Dataset:
        phantom = Phantom(seed=self.seed, patient=self.patient, slices=1, rows=8, columns=8)
        dataset = Dataset()
        for element in phantom.datasets()[0]:
            is_geometry = element.keyword in _PLANE or element.keyword.endswith("Patient")
            if element.tag.group in {0x0008, 0x0010, 0x0020} and not is_geometry:
                dataset.add(element)
        identity = {
            "SOPClassUID": CLASSES[self.modality],
            "SOPInstanceUID": phantom.uid("projection", self.modality, number),
            "SeriesInstanceUID": phantom.uid("series", self.modality),
            "SeriesDescription": f"{self.modality} phantom",
            "Modality": self.modality,
            "InstanceNumber": number,
            "ImageType": ["ORIGINAL", "PRIMARY"],
        }
        put(dataset, identity)
        return dataset

    def _put_grey(self, dataset: Dataset) -> None:
        pixels = np.where(self.mask[0], _BRIGHT, _DARK)
        put_pixels(
            dataset, _MOST - pixels if self.photometric == "MONOCHROME1" else pixels, bits=(16, 12), signed=False
        )
        dataset.PhotometricInterpretation = self.photometric

    def _put_colour(self, dataset: Dataset) -> None:
        pixels = np.zeros((*self.mask.shape, 3), np.uint8)
        dark, bright = _COLOURS[self.modality]
        pixels[...] = dark
        pixels[self.mask] = bright
        layout = {"Rows": self.rows, "Columns": self.columns, "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
        colours = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
        put(dataset, layout | colours | {"PixelRepresentation": 0, "Laterality": "", "PatientOrientation": ""})
        if self.modality == "US":
            put(dataset, {"NumberOfFrames": self.images, "FrameTime": "40", "FrameIncrementPointer": 0x00181063})
        dataset.PixelData = (pixels if self.modality == "US" else pixels[0]).tobytes()
        dataset["PixelData"].VR = "OB"


_CHEST: dict[str, Any] = {
    "ViewPosition": "PA",
    "BodyPartExamined": "CHEST",
    "PatientOrientation": ["L", "F"],
    "ImagerPixelSpacing": ["0.2", "0.15"],
}
_DIGITAL: dict[str, Any] = {  # PS3.3 C.8.11
    "PresentationIntentType": "FOR PRESENTATION",
    "PixelIntensityRelationship": "LOG",
    "PixelIntensityRelationshipSign": -1,
    "RescaleIntercept": "0",
    "RescaleSlope": "1",
    "RescaleType": "US",
    "PresentationLUTShape": "IDENTITY",
    "LossyImageCompression": "00",
    "BurnedInAnnotation": "NO",
    "ImageLaterality": "U",
    "DetectorType": "DIRECT",
    "PositionerType": "",
    "WindowCenter": "2048",
    "WindowWidth": "4096",
    "AcquisitionContextSequence": [],
    "AnatomicRegionSequence": [code("816094009", "SCT", "Chest")],
    "ViewCodeSequence": [code("399348003", "SCT", "Antero-posterior projection")],
    "ImageType": ["ORIGINAL", "PRIMARY", ""],
}


def _view(value: str, meaning: str) -> Dataset:
    """Return a view with an empty modifier, as mammography requires."""
    item = code(value, "SCT", meaning)
    item.ViewModifierCodeSequence = []
    return item


_BREAST: dict[str, Any] = {  # PS3.3 C.8.11.7
    "ViewPosition": None,
    "BodyPartExamined": "BREAST",
    "ImageLaterality": "L",
    "PatientOrientation": ["A", "FR"],
    "PositionerType": "MAMMOGRAPHIC",
    "OrganExposed": "BREAST",
    "BreastImplantPresent": "NO",
    "PartialView": "NO",
    "AnatomicRegionSequence": [code("76752008", "SCT", "Breast")],
    "ViewCodeSequence": [_view("399368009", "medio-lateral oblique")],
}
_LOOP = {"LossyImageCompression": "00", "ImageType": ["ORIGINAL", "PRIMARY", "", "0001"]}
_KINDS: Mapping[str, dict[str, Any]] = {
    "CR": _CHEST,
    "DX": _CHEST | _DIGITAL,
    "MG": _CHEST | _DIGITAL | _BREAST,
    "US": _LOOP,
    "OT": {"ConversionType": "WSD"},
}
