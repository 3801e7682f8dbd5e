"""The common part of SEG and Parametric Map: attributes derived from their source images."""

from __future__ import annotations

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from orchestrator.dicom.objects import fast_sequences, provenance
from orchestrator.dicom.objects.provenance import Clock
from orchestrator.dicom.read.grid import FrameReference
from orchestrator.dicom.result.source_grid import SourceGrid, lossy_compression
from orchestrator.domain.model import ModelDescription


def derived_object(source: SourceGrid, sop_class: UID, kind: str, *, model: ModelDescription, clock: Clock) -> Dataset:
    """Return an object without frames: patient, study, equipment and frame of reference of its source.

    kind: kind of the series, ``SEG`` or ``PM``.
    """
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class
    for module in (source.modules, provenance.equipment(model), source.sides):
        dataset.update(module)
    dataset.SeriesNumber, dataset.InstanceNumber = provenance.series_number(model, kind), 1
    dataset.SeriesDescription = provenance.series_description(model, kind, source.views)
    dataset.ContentQualification = provenance.qualification(model, source.header.get("ContentQualification") or "")
    dataset.ContentDescription, dataset.ContentCreatorName = provenance.UNVERIFIED, ""
    dataset.ContributingEquipmentSequence = [provenance.contribution(model, clock)]
    if source.frame_of_reference:
        dataset.FrameOfReferenceUID = source.frame_of_reference
        dataset.PositionReferenceIndicator = source.header.get("PositionReferenceIndicator") or ""
    else:  # type 2C in General Image (PS3.3 C.7.6.1) without plane orientation
        dataset.PatientOrientation = source.first.get("PatientOrientation") or []
    _, dataset.Rows, dataset.Columns = source.grid.shape[:3]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.update(lossy_compression(source.header))
    _refer_to_source(dataset, source)
    return dataset


def _refer_to_source(dataset: Dataset, source: SourceGrid) -> None:
    """Add the Common Instance Reference module (PS3.3 C.12.2) with every image of the grid."""
    images = b"".join(map(_reference, source.instances))
    series = fast_sequences.element(0x0008114A, "SQ", images) + fast_sequences.text(0x0020000E, "UI", source.series_uid)
    fast_sequences.put(dataset, "ReferencedSeriesSequence", fast_sequences.item(series))


def _reference(image: FrameReference) -> bytes:
    sop = fast_sequences.text(0x00081150, "UI", image.sop_class) + fast_sequences.text(0x00081155, "UI", image.sop_uid)
    return fast_sequences.item(sop)
