"""What a segmentation and a map have in common: frames on the grid of the images that they were made from."""

from __future__ import annotations

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from orchestrator.dicom.objects import fast_sequences, provenance
from orchestrator.dicom.objects.provenance import Clock
from orchestrator.dicom.read.grid import FrameReference
from orchestrator.dicom.result.source import Source, compression_of
from orchestrator.domain.model import ModelDescription


def derived_object(source: Source, sop_class: UID, kind: str, *, model: ModelDescription, clock: Clock) -> Dataset:
    """Return an object with the patient, study, equipment and frame of reference of its source, without frames.

    kind: names its series, ``SEG`` or ``PM``.
    """
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = sop_class
    for module in (source.modules, provenance.equipment(model), source.sides):
        made.update(module)
    made.SeriesNumber, made.InstanceNumber = provenance.series_number(model, kind), 1
    made.SeriesDescription = provenance.series_description(model, kind)
    made.ContentQualification = provenance.qualification(model, source.header.get("ContentQualification") or "")
    made.ContentDescription, made.ContentCreatorName = provenance.UNVERIFIED, ""
    made.ContributingEquipmentSequence = [provenance.contribution(model, clock)]
    if source.frame_of_reference:
        made.FrameOfReferenceUID = source.frame_of_reference
        made.PositionReferenceIndicator = source.header.get("PositionReferenceIndicator") or ""
    else:  # type 2C in General Image (PS3.3 C.7.6.1) where no plane orientation says it
        made.PatientOrientation = source.first.get("PatientOrientation") or []
    _, made.Rows, made.Columns = source.grid.shape[:3]
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.update(compression_of(source.header))
    _refer_to_source(made, source)
    return made


def _refer_to_source(made: Dataset, source: Source) -> None:
    """Add the Common Instance Reference module (PS3.3 C.12.2): every image of the grid."""
    images = b"".join(map(_reference, source.instances))
    series = fast_sequences.element(0x0008114A, "SQ", images) + fast_sequences.text(0x0020000E, "UI", source.series_uid)
    fast_sequences.put(made, "ReferencedSeriesSequence", fast_sequences.item(series))


def _reference(image: FrameReference) -> bytes:
    sop = fast_sequences.text(0x00081150, "UI", image.sop_class) + fast_sequences.text(0x00081155, "UI", image.sop_uid)
    return fast_sequences.item(sop)
