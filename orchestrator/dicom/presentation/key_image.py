"""Key images: the telling slices of a result with all that is drawn on them, as Secondary Captures (PS3.3 A.8.1).

For viewers and archives that know neither SEG nor SR: pixels are shown everywhere. They say themselves that no
physician has seen them, in a band above the image that hides nothing of it.
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
from orchestrator.domain.result import Finding, Presence

KIND = "SC"
NARROWEST = 512
"""Columns of a key image at least, so that its words can be read beside an image that is a strip."""
OPACITY = 0.15
"""Of the colour that lies on a segment: the border says enough, and the image below has to be seen."""
MAP_OPACITY = 0.45
"""Of a map, whose colours are what it says."""

_NO_COLOUR = (0, 0, 0)
_SAID = {Presence.PRESENT: "present", Presence.ABSENT: "no sign of it found", Presence.UNDETERMINED: "undetermined"}


def key_images(
    grid_results: Sequence[GridResult],
    objects: Sequence[Path],
    *,
    model: ModelDescription,
    clock: Clock,
    uids: DerivedUids,
) -> Iterator[Dataset]:
    """Yield the key images of a job, complete but for being checked and stored.

    objects: the files of its SEGs and its SR, so that the pictures show what was written. A result without a place
    has one of the middle image, which says in words what was found, or that nothing was.
    Raises UnreadableFile and UnsupportedInput.
    """
    shown = [(grid_result, place) for grid_result in grid_results for place in key_slices(grid_result)]
    shown = shown or [(grid_results[0], len(grid_results[0].source.grid.frames) // 2)]
    sources = dict.fromkeys(grid_result.frame(place).path for grid_result, place in shown)
    overlay = Overlay.open(list(sources), objects)
    sides = common_sides([grid_result.source for grid_result in grid_results])
    for number, (grid_result, place) in enumerate(shown, 1):
        frame = grid_result.frame(place)
        index = overlay.places.index((frame.sop_uid, frame.frame or 1))
        picture = overlay.picture(index, opacity=MAP_OPACITY if grid_result.maps else OPACITY)
        image = (picture.pixels.shape[0], picture.pixels.shape[1])
        _add_words(picture, overlay, index, grid_result, model)
        written = _secondary_capture(grid_result, frame, picture, image, model)
        written.update(sides)
        written.InstanceNumber = number
        written.ContributingEquipmentSequence = [provenance.contribution(model, clock)]
        content = hashlib.sha256(written.PixelData).hexdigest()  # fonts and scaling are those of a library
        provenance.stamp(written, clock, uids, KIND, str(number), content)
        yield written


def _add_words(
    picture: Picture, overlay: Overlay, index: int, grid_result: GridResult, model: ModelDescription
) -> None:
    picture.widen(NARROWEST)
    picture.banner(f"{BANNER}: {provenance.clean_text(model.name)} {provenance.clean_text(model.version)}".strip())
    drawn = [(entry.colours, entry.line) for entry in overlay.legend_of(index)]
    if words := [*drawn, *(((_NO_COLOUR,), line) for line in _said(grid_result))]:
        picture.legend(words)


def _said(grid_result: GridResult) -> Iterator[str]:
    """Yield in words what has no place in an image, and how urgent the findings are."""
    if grid_result.is_negative and not grid_result.result.findings:
        labels = ", ".join(grid_result.empty_labels)
        yield f"Nothing found{f': {labels}' if labels else ''}"
    for finding in grid_result.unplaced_findings:
        if not finding.images:
            yield _sentence(finding)
    for finding in grid_result.result.findings:
        if finding.urgency is not None and finding.presence is not Presence.ABSENT:
            yield f"{finding.name.meaning}: urgency {finding.urgency}"
    for measurement in grid_result.result.measurements:
        if measurement.segment is None:
            unit = "" if measurement.unit == "1" else f" {measurement.unit}"
            yield f"{measurement.name.meaning}: {measurement.value:,.6g}{unit}"


def _sentence(finding: Finding) -> str:
    score = "" if finding.score is None else f", score {finding.score:.2f}"
    return f"{finding.name.meaning}: {_SAID[finding.presence]}{score}"


def _secondary_capture(
    grid_result: GridResult, frame: FrameReference, picture: Picture, image: tuple[int, int], model: ModelDescription
) -> Dataset:
    """Return the object without its dates and UIDs; image: rows and columns of the part that is the image."""
    source, header = grid_result.source, grid_result.source.image_header(frame)
    written = Dataset()
    written.file_meta = FileMetaDataset()
    written.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    written.SOPClassUID = written.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    for module in (source.modules, provenance.equipment(model), lossy_compression(header)):
        written.update(module)
    written.Modality, written.ConversionType = "OT", "WSD"  # of the source's modality it would look like a slice
    written.SeriesNumber = provenance.series_number(model, KIND)
    written.SeriesDescription = provenance.series_description(model, "key image")
    written.ContentQualification = provenance.qualification(model, source.header.get("ContentQualification") or "")
    written.ImageType = ["DERIVED", "SECONDARY"]
    written.DerivationDescription = (
        f"Drawn on the image: {provenance.UNVERIFIED}; {provenance.clean_text(model.name)}"
        f" {provenance.clean_text(model.version)}"
    )
    written.SourceImageSequence = [_reference(frame)]
    written.PatientOrientation = patient_orientation(header)
    # About text that identifies the patient (PS3.3 C.7.6.1): our words do not, and what the image has stays.
    written.BurnedInAnnotation = str(header.get("BurnedInAnnotation") or "YES")
    if header.get("RecognizableVisualFeatures"):
        written.RecognizableVisualFeatures = header.RecognizableVisualFeatures
    _put_pixels(written, picture)
    if source.pixel_spacing is not None and header.get("PixelSpacing"):
        _, rows, columns = source.grid.shape[:3]
        down, across = (float(value) for value in header.PixelSpacing)
        written.PixelSpacing = [f"{down * rows / image[0]:.8g}", f"{across * columns / image[1]:.8g}"]
    return written


def _reference(frame: FrameReference) -> Dataset:
    (item,) = references([frame])
    item.SpatialLocationsPreserved = "NO"
    item.PurposeOfReferenceCodeSequence = [code_item(codes.DCM.SourceImageForImageProcessingOperation)]
    return item


def _put_pixels(written: Dataset, picture: Picture) -> None:
    pixels = np.ascontiguousarray(picture.pixels)
    written.Rows, written.Columns = pixels.shape[:2]
    written.SamplesPerPixel, written.PhotometricInterpretation, written.PlanarConfiguration = 3, "RGB", 0
    written.BitsAllocated = written.BitsStored = 8
    written.HighBit, written.PixelRepresentation = 7, 0
    content = pixels.tobytes()
    written.add_new("PixelData", "OB", content + b"\0" * (len(content) % 2))
