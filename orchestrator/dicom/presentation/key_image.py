"""Builds key images: the key slices of a result with its drawings, as Secondary Captures (PS3.3 A.8.1).

They are for viewers and archives without support for SEG and SR. A band above the image states that no physician has
verified it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from orchestrator.dicom.objects import provenance
from orchestrator.dicom.objects.provenance import Clock, DerivedUids, code_item
from orchestrator.dicom.read.grid import FrameReference
from orchestrator.dicom.result.grid_result import GridResult
from orchestrator.dicom.result.key_slices import key_slices
from orchestrator.dicom.result.source_grid import common_sides, lossy_compression, patient_orientation, references
from orchestrator.dicom.view.overlay import Overlay
from orchestrator.dicom.view.picture import BANNER, Picture
from orchestrator.domain.model import ModelDescription
from orchestrator.domain.result import Presence

KIND = "SC"
NARROWEST = 512
"""Smallest width of a key image in pixels, so that the text is readable beside a narrow image."""
OPACITY = 0.15
"""Opacity of the colour on a segment; low, so that the image stays visible."""
MAP_OPACITY = 0.45
"""Opacity of a map; higher, because its colours are its content."""

_NO_COLOUR = (0, 0, 0)
_PRESENCE_TEXT = {
    Presence.PRESENT: "present",
    Presence.ABSENT: "no sign of it found",
    Presence.UNDETERMINED: "undetermined",
}


def key_images(
    grid_results: Sequence[GridResult],
    objects: Sequence[Path],
    *,
    model: ModelDescription,
    clock: Clock,
    uids: DerivedUids,
) -> Iterator[Dataset]:
    """Yield the key images of a job, complete except for check and storage.

    A result without a place gets one key image: the middle image with the result as text.
    objects: files of the job's SEGs, maps and SR; the pictures are drawn from them.
    Raises UnreadableFile, UnsupportedInput.
    """
    slices = [(grid_result, place) for grid_result in grid_results for place in key_slices(grid_result)]
    slices = slices or [(grid_results[0], len(grid_results[0].source.grid.frames) // 2)]
    sources = dict.fromkeys(grid_result.frame(place).path for grid_result, place in slices)
    overlay = Overlay.open(list(sources), objects)
    sides = common_sides([grid_result.source for grid_result in grid_results])
    for number, (grid_result, place) in enumerate(slices, 1):
        frame = grid_result.frame(place)
        index = overlay.places.index((frame.sop_uid, frame.frame or 1))
        picture = overlay.picture(index, opacity=MAP_OPACITY if grid_result.maps else OPACITY)
        image = (picture.pixels.shape[0], picture.pixels.shape[1])
        _add_text(picture, overlay, index, grid_result, model)
        dataset = _secondary_capture(grid_result, frame, picture, image, model)
        dataset.update(sides)
        dataset.InstanceNumber = number
        dataset.ContributingEquipmentSequence = [provenance.contribution(model, clock)]
        content = hashlib.sha256(dataset.PixelData).hexdigest()  # the pixels depend on fonts and scaling of a library
        provenance.stamp(dataset, clock, uids, KIND, str(number), content)
        yield dataset


def _add_text(picture: Picture, overlay: Overlay, index: int, grid_result: GridResult, model: ModelDescription) -> None:
    picture.widen(NARROWEST)
    picture.banner(f"{BANNER}: {provenance.clean_text(model.name)} {provenance.clean_text(model.version)}".strip())
    entries = [(entry.colours, entry.line) for entry in overlay.legend_of(index)]
    name = overlay.names[index]
    lines = [*([f"{name[0].upper()}{name[1:]}"] if name else []), *_text_lines(grid_result)]
    entries += [((_NO_COLOUR,), line) for line in lines]
    if entries:
        picture.legend(entries)


def _text_lines(grid_result: GridResult) -> Iterator[str]:
    """Yield as text the findings and measurements without a place, and the urgency of all findings."""
    if grid_result.is_negative and not grid_result.result.findings:
        labels = ", ".join(grid_result.empty_labels)
        yield f"Nothing found{f': {labels}' if labels else ''}"
    for finding in grid_result.unplaced_findings:
        if not finding.images:
            score = "" if finding.score is None else f", score {finding.score:.2f}"
            yield f"{finding.name.meaning}: {_PRESENCE_TEXT[finding.presence]}{score}"
    for finding in grid_result.result.findings:
        if finding.urgency is not None and finding.presence is not Presence.ABSENT:
            yield f"{finding.name.meaning}: urgency {finding.urgency}"
    for measurement in grid_result.result.measurements:
        if measurement.segment is None:
            unit = "" if measurement.unit == "1" else f" {measurement.unit}"
            yield f"{measurement.name.meaning}: {measurement.value:,.6g}{unit}"


def _secondary_capture(
    grid_result: GridResult, frame: FrameReference, picture: Picture, image: tuple[int, int], model: ModelDescription
) -> Dataset:
    """Return the object without dates and UIDs. image: rows and columns of the picture without its bands."""
    source, header = grid_result.source, grid_result.source.image_header(frame)
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    for module in (source.modules, provenance.equipment(model), lossy_compression(header)):
        dataset.update(module)
    dataset.Modality, dataset.ConversionType = (
        "OT",
        "WSD",
    )  # with the modality of the source it would look like one of its slices
    dataset.SeriesNumber = provenance.series_number(model, KIND)
    dataset.SeriesDescription = provenance.series_description(model, "key image", source.grid.count.views)
    dataset.ContentQualification = provenance.qualification(model, source.header.get("ContentQualification") or "")
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.DerivationDescription = (
        f"Drawn on the image: {provenance.UNVERIFIED}; {provenance.clean_text(model.name)}"
        f" {provenance.clean_text(model.version)}"
    )
    dataset.SourceImageSequence = [_reference(frame)]
    dataset.PatientOrientation = patient_orientation(header)
    # Concerns text that identifies the patient (PS3.3 C.7.6.1): the added text does not, the image may.
    dataset.BurnedInAnnotation = str(header.get("BurnedInAnnotation") or "YES")
    if header.get("RecognizableVisualFeatures"):
        dataset.RecognizableVisualFeatures = header.RecognizableVisualFeatures
    _put_pixels(dataset, picture)
    if source.pixel_spacing is not None and header.get("PixelSpacing"):
        _, rows, columns = source.grid.shape[:3]
        down, across = (float(value) for value in header.PixelSpacing)
        dataset.PixelSpacing = [f"{down * rows / image[0]:.8g}", f"{across * columns / image[1]:.8g}"]
    return dataset


def _reference(frame: FrameReference) -> Dataset:
    (item,) = references([frame])
    item.SpatialLocationsPreserved = "NO"
    item.PurposeOfReferenceCodeSequence = [code_item(codes.DCM.SourceImageForImageProcessingOperation)]
    return item


def _put_pixels(dataset: Dataset, picture: Picture) -> None:
    pixels = np.ascontiguousarray(picture.pixels)
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    content = pixels.tobytes()
    dataset.add_new("PixelData", "OB", content + b"\0" * (len(content) % 2))
