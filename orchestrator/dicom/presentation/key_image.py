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
from orchestrator.dicom.objects.provenance import Clock, Uids, code_item
from orchestrator.dicom.read.grid import FrameReference
from orchestrator.dicom.result.grid_result import Answer
from orchestrator.dicom.result.key_slices import telling
from orchestrator.dicom.result.source import common_sides, compression_of, patient_orientation, references
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
    answers: Sequence[Answer], objects: Sequence[Path], *, model: ModelDescription, clock: Clock, uids: Uids
) -> Iterator[Dataset]:
    """Yield the key images of a job, complete but for being checked and stored.

    objects: the files of its SEGs and its SR, so that the pictures show what was written. A result without a place
    has one of the middle image, which says in words what was found, or that nothing was.
    Raises UnreadableFile and UnsupportedInput.
    """
    shown = [(answer, place) for answer in answers for place in telling(answer)]
    shown = shown or [(answers[0], len(answers[0].source.grid.frames) // 2)]
    sources = dict.fromkeys(answer.frame(place).path for answer, place in shown)
    overlay = Overlay.open(list(sources), objects)
    sides = common_sides([answer.source for answer in answers])
    for number, (answer, place) in enumerate(shown, 1):
        frame = answer.frame(place)
        index = overlay.places.index((frame.sop_uid, frame.frame or 1))
        picture = overlay.picture(index, opacity=MAP_OPACITY if answer.maps else OPACITY)
        image = (picture.pixels.shape[0], picture.pixels.shape[1])
        _add_words(picture, overlay, index, answer, model)
        written = _secondary_capture(answer, frame, picture, image, model)
        written.update(sides)
        written.InstanceNumber = number
        written.ContributingEquipmentSequence = [provenance.contribution(model, clock)]
        content = hashlib.sha256(written.PixelData).hexdigest()  # fonts and scaling are those of a library
        provenance.stamp(written, clock, uids, KIND, str(number), content)
        yield written


def _add_words(picture: Picture, overlay: Overlay, index: int, answer: Answer, model: ModelDescription) -> None:
    picture.widen(NARROWEST)
    picture.banner(f"{BANNER}: {provenance.text_of(model.name)} {provenance.text_of(model.version)}".strip())
    drawn = [(entry.colours, entry.line) for entry in overlay.legend_of(index)]
    if words := [*drawn, *(((_NO_COLOUR,), line) for line in _said(answer))]:
        picture.legend(words)


def _said(answer: Answer) -> Iterator[str]:
    """Yield in words what has no place in an image, and how urgent the findings are."""
    if answer.is_negative and not answer.result.findings:
        labels = ", ".join(answer.empty_labels)
        yield f"Nothing found{f': {labels}' if labels else ''}"
    for finding in answer.placeless_findings:
        if not finding.images:
            yield _sentence(finding)
    for finding in answer.result.findings:
        if finding.urgency is not None and finding.presence is not Presence.ABSENT:
            yield f"{finding.name.meaning}: urgency {finding.urgency}"
    for measurement in answer.result.measurements:
        if measurement.segment is None:
            unit = "" if measurement.unit == "1" else f" {measurement.unit}"
            yield f"{measurement.name.meaning}: {measurement.value:,.6g}{unit}"


def _sentence(finding: Finding) -> str:
    score = "" if finding.score is None else f", score {finding.score:.2f}"
    return f"{finding.name.meaning}: {_SAID[finding.presence]}{score}"


def _secondary_capture(
    answer: Answer, frame: FrameReference, picture: Picture, image: tuple[int, int], model: ModelDescription
) -> Dataset:
    """Return the object without its dates and UIDs; image: rows and columns of the part that is the image."""
    source, header = answer.source, answer.source.image_header(frame)
    written = Dataset()
    written.file_meta = FileMetaDataset()
    written.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    written.SOPClassUID = written.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    for module in (source.modules, provenance.equipment(model), compression_of(header)):
        written.update(module)
    written.Modality, written.ConversionType = "OT", "WSD"  # of the source's modality it would look like a slice
    written.SeriesNumber = provenance.series_number(model, KIND)
    written.SeriesDescription = provenance.series_description(model, "key image")
    written.ContentQualification = provenance.qualification(model, source.header.get("ContentQualification") or "")
    written.ImageType = ["DERIVED", "SECONDARY"]
    written.DerivationDescription = (
        f"Drawn on the image: {provenance.UNVERIFIED}; {provenance.text_of(model.name)}"
        f" {provenance.text_of(model.version)}"
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
