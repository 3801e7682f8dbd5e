"""Enhanced multi-frame CT and MR of a phantom (PS3.3 C.7.6.16): geometry and rescale per frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.uid import EnhancedCTImageStorage, EnhancedMRImageStorage, ExplicitVRLittleEndian

from orchestrator.testing.phantom import Phantom
from orchestrator.testing.pixels import put_pixels

CLASSES = {"CT": EnhancedCTImageStorage, "MR": EnhancedMRImageStorage}


def enhanced(phantom: Phantom, frame_order: Sequence[int] | None = None) -> Dataset:
    """Return a CT or MR phantom as one object with little-endian pixels; ``encode`` sets the transfer syntax.

    frame_order: slice indices in the order of the frames; by default ascending, without missing and with duplicate
        slices of the phantom.
    """
    present = [index for index in range(phantom.slices) if index not in set(phantom.missing)]
    order = list(frame_order) if frame_order is not None else [*present, *phantom.duplicate]
    whole = replace(phantom, missing=(), duplicate=(), time_points=1)
    single = replace(whole, order="ascending", transfer_syntax=ExplicitVRLittleEndian).datasets()
    dataset = _frame_free(single[0], CLASSES[phantom.modality], phantom)
    images = [(time, single[index]) for time in range(phantom.time_points) for index in order]
    dataset.NumberOfFrames = len(images)
    dataset.SharedFunctionalGroupsSequence = [_shared(single[0], phantom.modality)]
    dataset.PerFrameFunctionalGroupsSequence = [
        _per_frame(image, number, time, phantom) for number, (time, image) in enumerate(images, start=1)
    ]
    frames = np.tile(phantom.stored[order], (phantom.time_points, 1, 1))
    put_pixels(dataset, frames, bits=phantom.bits, signed=phantom.signed)
    return dataset


_FRAME_TYPE = {  # DERIVED: the acquisition macros are not required
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
    """Return the attributes that all frames share, with the modules of enhanced objects."""
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
    groups = Dataset()
    groups.PixelMeasuresSequence = [_item(PixelSpacing=source.PixelSpacing, SliceThickness=source.SliceThickness)]
    groups.PlaneOrientationSequence = [_item(ImageOrientationPatient=source.ImageOrientationPatient)]
    region = _item(CodeValue="51185008", CodingSchemeDesignator="SCT", CodeMeaning="Chest")
    groups.FrameAnatomySequence = [_item(AnatomicRegionSequence=[region], FrameLaterality="U")]
    frame_type = _item(
        FrameType=_FRAME_TYPE[modality],
        PixelPresentation="MONOCHROME",
        VolumetricProperties="VOLUME",
        VolumeBasedCalculationTechnique="NONE",
    )
    if modality == "CT":
        groups.IrradiationEventIdentificationSequence = [_item(IrradiationEventUID="2.25.4711")]
    else:
        frame_type.ComplexImageComponent, frame_type.AcquisitionContrast = "MAGNITUDE", "T1"
    setattr(groups, f"{modality}ImageFrameTypeSequence", [frame_type])
    return groups


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
