"""Enhanced multi-frame CT and MR of the same phantom (PS3.3 C.7.6.16): geometry and rescale per frame."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.uid import EnhancedCTImageStorage, EnhancedMRImageStorage

from orchestrator.testing import Phantom, encode, put_pixels
from tests.data.codecs import ENCODERS, compress

Edit = Callable[[Dataset], None]


def enhanced_ct(
    folder: Path, *, edit: Edit | None = None, frame_order: Sequence[int] | None = None, **parameters: Any
) -> Path:
    """Write one Enhanced CT object and return its path; parameters are Phantom's."""
    phantom = Phantom(**({"modality": "CT", "intercept": -1024.0} | parameters))
    return _write(folder, phantom, EnhancedCTImageStorage, edit, frame_order)


def enhanced_mr(
    folder: Path, *, edit: Edit | None = None, frame_order: Sequence[int] | None = None, **parameters: Any
) -> Path:
    """Write one Enhanced MR object, with a Pixel Value Transformation in each frame, and return its path."""
    phantom = Phantom(**({"modality": "MR", "slope": 0.5, "intercept": -20.0, "signed": False} | parameters))
    return _write(folder, phantom, EnhancedMRImageStorage, edit, frame_order)


def _write(
    folder: Path, phantom: Phantom, sop_class: str, edit: Edit | None, frame_order: Sequence[int] | None
) -> Path:
    present = [index for index in range(phantom.slices) if index not in set(phantom.missing)]
    order = list(frame_order) if frame_order is not None else [*present, *phantom.duplicate]
    single = Phantom(
        **{name: getattr(phantom, name) for name in Phantom.__dataclass_fields__}
        | {
            "missing": (),
            "duplicate": (),
            "time_points": 1,
            "order": "ascending",
            "transfer_syntax": "1.2.840.10008.1.2.1",
        }
    ).datasets()
    dataset = _frame_free(single[0], sop_class, phantom)
    images = [(time, single[index]) for time in range(phantom.time_points) for index in order]
    dataset.NumberOfFrames = len(images)
    dataset.SharedFunctionalGroupsSequence = [_shared(single[0], phantom.modality)]
    dataset.PerFrameFunctionalGroupsSequence = [
        _per_frame(image, number, time, phantom) for number, (time, image) in enumerate(images, start=1)
    ]
    stored = np.stack([phantom.stored[index] for _ in range(phantom.time_points) for index in order])
    put_pixels(dataset, stored, bits=phantom.bits, signed=phantom.signed)
    if edit is not None:
        edit(dataset)
    syntax = phantom.transfer_syntax
    dataset = compress(dataset, syntax) if syntax in ENCODERS else encode(dataset, syntax)
    folder.mkdir(parents=True, exist_ok=True)
    dataset.save_as(folder / "enhanced.dcm", enforce_file_format=True)
    return folder / "enhanced.dcm"


_FRAME_TYPE = {  # derived: the macros that describe an acquisition are not asked for
    "CT": ["DERIVED", "PRIMARY", "VOLUME", "NONE"],
    "MR": ["DERIVED", "PRIMARY", "T1", "NONE"],
}
_IN_FRAMES = (
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "SliceLocation"),
    *("RescaleSlope", "RescaleIntercept", "RescaleType", "KVP", "BodyPartExamined", "TemporalPositionIdentifier"),
    *("NumberOfTemporalPositions", "EchoTime", "RepetitionTime", "EchoTrainLength", "InversionTime"),
    *("ScanningSequence", "SequenceVariant", "ScanOptions", "MRAcquisitionType", "AcquisitionTime", "AcquisitionDate"),
)


def _frame_free(source: Dataset, sop_class: str, phantom: Phantom) -> Dataset:
    """Return what is the same for all frames, with the modules that only enhanced objects have."""
    dataset = Dataset()
    dataset.update(source)
    for keyword in _IN_FRAMES:
        if keyword in dataset:
            del dataset[keyword]
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, phantom.uid("enhanced", phantom.modality)
    dataset.ImageType = _FRAME_TYPE[phantom.modality]
    dataset.PixelPresentation, dataset.VolumetricProperties = "MONOCHROME", "VOLUME"
    dataset.VolumeBasedCalculationTechnique = "NONE"
    dataset.ContentQualification, dataset.LossyImageCompression = "PRODUCT", "00"
    dataset.PresentationLUTShape, dataset.BurnedInAnnotation = "IDENTITY", "NO"
    dataset.InstanceNumber = 1
    dataset.AcquisitionDateTime, dataset.AcquisitionDuration = "20250501101500", 10.0
    dataset.AcquisitionContextSequence = []
    if phantom.modality == "MR":
        _magnet(dataset)
    _dimensions(dataset, phantom)
    return dataset


def _magnet(dataset: Dataset) -> None:
    dataset.ComplexImageComponent, dataset.AcquisitionContrast = "MAGNITUDE", "T1"
    dataset.ResonantNucleus, dataset.KSpaceFiltering = "1H", "NONE"
    dataset.MagneticFieldStrength, dataset.ApplicableSafetyStandardAgency = 1.5, "IEC"


def _dimensions(dataset: Dataset, phantom: Phantom) -> None:
    organisation = phantom.uid("dimensions")
    item = Dataset()
    item.DimensionOrganizationUID = organisation
    dataset.DimensionOrganizationSequence = [item]
    dataset.DimensionIndexSequence = []
    for pointer, group in ((0x00209056, 0x00209111), (0x00209057, 0x00209111)):
        index = Dataset()
        index.DimensionOrganizationUID = organisation
        index.DimensionIndexPointer, index.FunctionalGroupPointer = pointer, group
        dataset.DimensionIndexSequence.append(index)


def _item(**values: Any) -> Dataset:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def _shared(source: Dataset, modality: str) -> Dataset:
    shared = Dataset()
    shared.PixelMeasuresSequence = [_item(PixelSpacing=source.PixelSpacing, SliceThickness=source.SliceThickness)]
    shared.PlaneOrientationSequence = [_item(ImageOrientationPatient=source.ImageOrientationPatient)]
    region = _item(CodeValue="51185008", CodingSchemeDesignator="SCT", CodeMeaning="Chest")
    shared.FrameAnatomySequence = [_item(AnatomicRegionSequence=[region], FrameLaterality="U")]
    frame_type = _item(
        FrameType=_FRAME_TYPE[modality],
        PixelPresentation="MONOCHROME",
        VolumetricProperties="VOLUME",
        VolumeBasedCalculationTechnique="NONE",
    )
    if modality == "CT":
        shared.IrradiationEventIdentificationSequence = [_item(IrradiationEventUID="2.25.4711")]
    else:
        frame_type.ComplexImageComponent, frame_type.AcquisitionContrast = "MAGNITUDE", "T1"
    setattr(shared, f"{modality}ImageFrameTypeSequence", [frame_type])
    return shared


def _per_frame(source: Dataset, number: int, time: int, phantom: Phantom) -> Dataset:
    frame = Dataset()
    frame.FrameContentSequence = [
        _item(
            FrameAcquisitionNumber=1,
            FrameReferenceDateTime=f"202505011015{time:02}",
            FrameAcquisitionDateTime=f"202505011015{time:02}",
            FrameAcquisitionDuration=10.0,
            StackID="1",
            InStackPositionNumber=number,
            DimensionIndexValues=[1, number],
        )
    ]
    if phantom.time_points > 1:
        frame.FrameContentSequence[0].TemporalPositionIndex = time + 1
    frame.PlanePositionSequence = [_item(ImagePositionPatient=source.ImagePositionPatient)]
    if "RescaleSlope" in source:
        kind = "HU" if phantom.modality == "CT" else "US"
        frame.PixelValueTransformationSequence = [
            _item(RescaleSlope=source.RescaleSlope, RescaleIntercept=source.RescaleIntercept, RescaleType=kind)
        ]
    return frame
